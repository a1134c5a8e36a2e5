import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attachOnly, BPF_CGROUP_INET4_CONNECT, cgroupPlace, programsOf } from '#native/bpf/attach.linux.ts';
import { renderInstructions } from '#native/bpf/instruction.ts';
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, loadProgram } from '#native/bpf/load.linux.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { openFd } from '#native/sys/fd.ts';
import { encodeRemote, parseConnected } from './connected.ts';
import { compileReceiveMessage, compileSendMessage } from './datagram-program.ts';
import { frontend4, socketBalancerConformance, wordsOf } from './socket-balancer.conformance.ts';
import type { Connected, SocketBalancerHarness } from './socket-balancer.conformance.ts';
import { FakeSocketBalancer } from './socket-balancer.fake.ts';
import { createSocketBalancer, socketBalancerRefusal } from './socket-balancer.linux.ts';
import type { SocketEnd } from './socket-balancer.ts';
import { compileConnect, compileGetPeerName } from './socket-program.ts';

const cgroupRoot = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(`${path}/cgroup.controllers`),
);
const canRun = process.getuid?.() === 0 && cgroupRoot !== undefined && socketBalancerRefusal() === undefined;

describe('programs', () => {
  it.each([4, 6] as const)('of connect and getpeername of IPv%d are as written down', async (family) => {
    const text = [compileConnect(family, ['tcp', 'udp']), compileGetPeerName(family)]
      .map(renderInstructions)
      .join('\n');
    await expect(text).toMatchFileSnapshot(`golden/sockets-${family}.txt`);
  });

  it.each([4, 6] as const)('of sendmsg and recvmsg of IPv%d are as written down', async (family) => {
    const programs = [compileSendMessage(family), compileReceiveMessage(family)];
    const text = programs.map(renderInstructions).join('\n');
    await expect(text).toMatchFileSnapshot(`golden/datagrams-${family}.txt`);
  });
});

describe('sockets that are connected', () => {
  it('are those of a file of /proc with a remote port', () => {
    const text = [
      '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
      ' 1021: 0100007F:A1B2 0101007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 4711 2 00000000a 0',
      ' 1022: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 00000000b 0',
      '',
    ].join('\n');
    const end = { ip: '127.0.1.1', port: 53 };
    expect(parseConnected(text)).toEqual([{ remote: encodeRemote(end, 4), inode: '4711' }]);
    expect(encodeRemote(end, 6)).toBe('0000000000000000FFFF00000101007F:0035');
    expect(encodeRemote({ ip: 'fd00::1', port: 53 }, 6)).toBe('000000FD000000000000000001000000:0035');
  });
});

socketBalancerConformance('the fake balancer', async () => {
  const balancer = new FakeSocketBalancer();
  const servers = {
    a: { ip: '127.0.0.1', port: 1001 },
    b: { ip: '127.0.0.1', port: 1002 },
    six: { ip: '::1', port: 1003 },
  };
  const connect = async (to: SocketEnd): Promise<Connected | undefined> => {
    const frontend = { ...to, ip: to.ip.replace('::ffff:', '') };
    const backends = balancer.frontends.get(`${wordsOf(frontend)} tcp`) ?? [];
    const server = backends[calls++ % backends.length] ?? to;
    if (!Object.values(servers).some((each) => wordsOf(each) === wordsOf(server))) return undefined;
    return { server: wordsOf(server), peer: wordsOf(to) };
  };
  const another = (): FakeSocketBalancer => {
    const next = new FakeSocketBalancer();
    Object.assign(next, { frontends: balancer.frontends, connected: balancer.connected });
    return next;
  };
  const at = (count: number, from: number): readonly SocketEnd[] =>
    Array.from({ length: count }, (_, index) => ({ ip: '127.0.0.1', port: from + index }));
  const openDatagrams: SocketBalancerHarness['openDatagrams'] = async (connectedTo) => {
    if (connectedTo !== undefined) {
      const { peer } = balancer.connectDatagrams({
        ...connectedTo,
        ip: connectedTo.ip.replace('::ffff:', ''),
      });
      return async () => ({ server: wordsOf(peer()), peer: wordsOf(connectedTo) });
    }
    const socket = balancer.openDatagrams();
    return async (to) => {
      const isMapped = to.ip.startsWith('::ffff:');
      const server = socket.send({ ...to, ip: to.ip.replace('::ffff:', '') });
      const { ip, port } = socket.nameOf(server);
      return { server: wordsOf(server), peer: wordsOf({ ip: `${isMapped ? '::ffff:' : ''}${ip}`, port }) };
    };
  };
  return {
    ...{ balancer, another, connect, openDatagrams, servers, more: at(3, 1004) },
    ...{ places: at(5, 2001), place6: { ip: '::1', port: 2001 } },
    [Symbol.asyncDispose]: async () => undefined,
  };
});
let calls = 0;

describe.skipIf(!canRun)('needs root, cgroup v2 and its programs of addresses', () => {
  socketBalancerConformance('the balancer on the kernel', createKernelHarness);

  it('leaves programs of others alone, and is one program however often it is made anew', async () => {
    await using harness = await createKernelHarness();

    const { balancer, another, servers, cgroup } = harness;
    using directory = openFd(cgroup, O_RDONLY);

    using others = loadProgram(
      BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
      [{ op: 'set', to: 0, value: 1 }, { op: 'exit' }],
      { name: 'others', attachType: BPF_CGROUP_INET4_CONNECT },
    );

    const place = cgroupPlace(directory, BPF_CGROUP_INET4_CONNECT);
    attachOnly(place, others, 'others');
    const frontends = [{ protocol: 'tcp', frontend: frontend4, backends: [servers.a] } as const];
    await balancer.replace(frontends);
    for (let round = 0; round < 3; round++) {
      using next = another();

      await next.replace(frontends);
      expect(programsOf(place)).toHaveLength(2);
    }
    expect((await harness.connect(frontend4))?.server).toBe(wordsOf(servers.a));
    await another().remove();
    expect(programsOf(place)).toHaveLength(1);
  });

  it('says E_UNSUPPORTED of a directory that is no cgroup, E_NOT_FOUND of none', async () => {
    using balancer = createSocketBalancer('/tmp');

    await expect(balancer.replace([])).rejects.toThrow(/balance connections: .*: EBADF/);
    using gone = createSocketBalancer('/none');

    await expect(gone.replace([])).rejects.toThrow(/open \/none: ENOENT/);
  });
});

/** In the cgroup: connects or sends to what it is told, says what the server says and what the socket says of itself. */
const client = `
const { connect } = require('node:net');
const { createSocket } = require('node:dgram');
const open = new Map();
const datagram = (id, { ip, port, isConnected }) => {
  const type = ip.includes(':') ? 'udp6' : 'udp4';
  const key = id + type;
  const isNew = !open.has(key);
  if (isNew) open.set(key, createSocket(type));
  const socket = open.get(key);
  socket.once('message', (data, from) => {
    const peer = from.address + ' ' + from.port;
    const { address = '', port = 0 } = isConnected ? socket.remoteAddress() : {};
    process.send({ server: String(data), peer: isConnected && peer !== address + ' ' + port ? 'strangers' : peer });
  });
  if (!isConnected) socket.send('x', port, ip);
  else if (isNew) socket.connect(port, ip, () => socket.send('x'));
  else socket.send('x');
};
process.on('message', ({ ip, port, id, isConnected }) => {
  if (id !== undefined) return datagram(id, { ip, port, isConnected });
  const socket = connect({ host: ip, port });
  socket.on('error', () => process.send(null));
  socket.once('data', (data) => {
    process.send({ server: String(data), peer: socket.remoteAddress + ' ' + socket.remotePort });
    socket.destroy();
  });
});`;

/** Answers each datagram with the address that it is answered at. */
async function answerDatagrams(host: string, stack: AsyncDisposableStack, port = 0): Promise<SocketEnd> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, host);
  await once(socket, 'listening');
  stack.defer(() => void socket.close());
  const end = { ip: host, port: socket.address().port };
  socket.on('message', (_, from) => socket.send(wordsOf(end), from.port, from.address));
  return end;
}

interface KernelHarness extends SocketBalancerHarness {
  readonly cgroup: string;
}

async function createKernelHarness(): Promise<KernelHarness> {
  await using stack = new AsyncDisposableStack();
  const cgroup = join(cgroupRoot ?? '', `podwright-sockets-${process.pid}-${calls++}`);
  mkdirSync(cgroup);
  stack.defer(() => rmdirSync(cgroup));
  const serverAt = async (host: string): Promise<SocketEnd> => {
    const server: Server = createServer((socket) => {
      const { localAddress = '', localPort = 0 } = socket;
      socket.on('error', () => undefined).end(`${localAddress} ${localPort}`);
    });
    server.listen(0, host);
    await once(server, 'listening');
    stack.defer(() => void server.close());
    const { port } = server.address() as AddressInfo;
    return answerDatagrams(host, stack, port);
  };
  const servers = {
    a: await serverAt('127.0.0.1'),
    b: await serverAt('127.0.0.1'),
    six: await serverAt('::1'),
  };
  const answering = async (host: string, count: number): Promise<readonly SocketEnd[]> => {
    const ends: SocketEnd[] = [];
    while (ends.length < count) ends.push(await answerDatagrams(host, stack));
    return ends;
  };
  const more = await answering('127.0.0.1', 3);
  const places = await answering('127.9.0.1', 5);
  const [place6 = servers.six] = await answering('::1', 1);
  const child: ChildProcess = fork('-', [], { execArgv: ['--eval', client], execPath: process.execPath });
  stack.defer(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    // A cgroup is empty a moment after its last process has been waited for.
    await expect.poll(() => execFileSync('cat', [join(cgroup, 'cgroup.procs')]).length).toBe(0);
  });
  await once(child, 'spawn');
  writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
  const connect = async (to: SocketEnd): Promise<Connected | undefined> => {
    const answer = once(child, 'message');
    child.send(to);
    return ((await answer)[0] as Connected | null) ?? undefined;
  };
  let opened = 0;
  const openDatagrams: SocketBalancerHarness['openDatagrams'] = async (connectedTo) => {
    const id = opened++;
    return async (to) => {
      const answer = once(child, 'message');
      child.send({ ...(connectedTo ?? to), id, isConnected: connectedTo !== undefined });
      return (await answer)[0] as Connected;
    };
  };
  const balancer = createSocketBalancer(cgroup);
  stack.use(balancer);
  const moved = stack.move();
  const another = (): ReturnType<typeof createSocketBalancer> => createSocketBalancer(cgroup);
  return {
    ...{ balancer, another, connect, openDatagrams, servers, more, places, place6, cgroup },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
