/** Host ports on the host's loopback, and what neighbours have of that loopback: by packets, in namespaces of the test's own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createInvoker } from '#cni-plugins/registry.ts';

const isRoot = process.getuid?.() === 0;
const hasTools = existsSync('/usr/sbin/nft') && existsSync('/usr/bin/nsenter');

const netlink = createSyncNetlink();
const nft = createSyncNft();
const invoke = createInvoker({ netlink, nft });
const { signal } = new AbortController(); // The deadline is that of each test.
const directory = scratchDirectory('podwright-loopback-');
const pod = `/run/netns/podwright-loopback-${process.pid}`;
const gateway = '10.1.0.1';

/** Answers every connection and every packet on the port of the address with its source; says `ready` first. */
const serve = `
  const [host, port] = process.argv.slice(1);
  const udp = require('dgram').createSocket('udp4');
  udp.on('message', (_text, from) => { console.log('from', from.address); udp.send('from ' + from.address, from.port, from.address); });
  const tcp = require('net').createServer((socket) => { socket.on('error', () => {}); socket.end('from ' + socket.remoteAddress); });
  udp.bind(+port, host, () => tcp.listen(+port, host, () => console.log('ready')));
`;
/** Prints what is answered, or why nothing is: `silence` after some milliseconds. */
const ask = `
  const [ms, protocol, host, port, localAddress] = process.argv.slice(1);
  const end = (text) => { console.log(text); process.exit(0); };
  setTimeout(() => end('silence'), +ms);
  if (protocol === 'tcp') {
    const socket = require('net').connect({ host, port: +port, localAddress: localAddress || undefined });
    socket.on('data', (data) => end(String(data).replace('::ffff:', ''))).on('error', (error) => end(error.code));
  } else {
    const socket = require('dgram').createSocket('udp4');
    socket.on('message', (data) => end(String(data))).on('error', (error) => end(error.code));
    socket.bind(0, localAddress || '0.0.0.0', () => socket.send('x', +port, host, (error) => error && end(error.code)));
  }
`;

const children: ChildProcess[] = [];
const inside = (where: 'host' | 'pod', command: readonly string[]): readonly [string, readonly string[]] =>
  where === 'pod' ? ['nsenter', [`--net=${pod}`, ...command]] : [command[0] ?? '', command.slice(1)];

async function startServer(where: 'host' | 'pod', host: string, port: number): Promise<void> {
  const [program, args] = inside(where, [process.execPath, '-e', serve, host, String(port)]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
}

function run(where: 'host' | 'pod', command: readonly string[]): string {
  const [program, args] = inside(where, command);
  return execFileSync(program, args, { encoding: 'utf8' }).trim();
}

const answer = (where: 'host' | 'pod', ...args: readonly string[]): string =>
  run(where, [process.execPath, '-e', ask, '60000', ...args]);
/** Where none should come: waited for as long as one would take in a quiet moment. */
const anyAnswer = (where: 'host' | 'pod', ...args: readonly string[]): string =>
  run(where, [process.execPath, '-e', ask, '700', ...args]);

describe.skipIf(!isRoot || !hasTools)('host ports on loopback (needs root, nft, nsenter)', () => {
  let added: JsonObject | undefined;

  const call = (command: 'ADD' | 'DEL', config: PluginConfig): Parameters<typeof invoke>[1] => ({
    command,
    containerId: 'c1',
    netns: pod,
    ifname: 'eth0',
    args: {},
    path: [],
    config,
  });
  const network = { cniVersion: '1.0.0', name: 'net' };
  const ipam = { type: 'host-local', dataDir: directory, ranges: [[{ subnet: '10.1.0.0/24' }]] };
  const bridge = { ...network, type: 'bridge', bridge: 'cni0', isDefaultGateway: true, ipam };
  const portMappings = ['tcp', 'udp'].flatMap((protocol) => [
    { hostPort: 8080, containerPort: 80, protocol },
    { hostPort: 8081, containerPort: 80, protocol, hostIP: '127.0.0.1' },
  ]);
  const portmap = (): PluginConfig => ({
    ...network,
    type: 'portmap',
    prevResult: added,
    runtimeConfig: { portMappings },
  });

  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    await netlink.createNetns(pod);
    run('host', ['ip', 'link', 'set', 'lo', 'up']);
    run('pod', ['ip', 'link', 'set', 'lo', 'up']);
    added = await invoke('bridge', call('ADD', bridge), signal);
    await invoke('portmap', call('ADD', portmap()), signal);
    await startServer('pod', '10.1.0.2', 80);
    await startServer('host', '127.0.0.1', 9000);
    await startServer('host', '0.0.0.0', 9001);
  });
  afterAll(async () => {
    for (const child of children) child.kill();
    await netlink.removeNetns(pod);
  });

  test.each(['tcp', 'udp'])('lead to the container from the host itself, by its address (%s)', (protocol) => {
    expect(answer('host', protocol, '127.0.0.1', '8080')).toBe(`from ${gateway}`);
    expect(answer('host', protocol, '127.0.0.1', '8081')).toBe(`from ${gateway}`);
    expect(answer('host', protocol, '127.0.0.7', '8080')).toBe(`from ${gateway}`);
    expect(answer('host', protocol, gateway, '8080')).toBe(`from ${gateway}`);
  });

  test('are of loopback alone where that is what they ask for', () => {
    expect(answer('host', 'tcp', gateway, '8081')).toBe('ECONNREFUSED');
  });

  test('what listens on loopback is reached as before', () => {
    expect(answer('host', 'tcp', '127.0.0.1', '9000')).toBe('from 127.0.0.1');
    expect(answer('host', 'udp', '127.0.0.1', '9000')).toBe('from 127.0.0.1');
  });

  test('nothing else leaves the host with such an address', () => {
    expect(anyAnswer('host', 'tcp', '10.1.0.2', '80', '127.0.0.1')).not.toMatch(/^from/);
    expect(anyAnswer('host', 'udp', '10.1.0.2', '80', '127.0.0.1')).not.toMatch(/^from/);
    expect(answer('host', 'udp', '10.1.0.2', '80')).toBe(`from ${gateway}`);
  });

  describe('a container that sends to and from 127.0.0.0/8 over the wire', () => {
    beforeAll(() => {
      for (const command of [
        'sysctl -qw net.ipv4.conf.eth0.route_localnet=1',
        'ip address del 127.0.0.1/8 dev lo',
        `ip route add 127.0.0.0/8 via ${gateway} dev eth0 src 10.1.0.2`,
        'ip address add 127.0.0.5/32 dev eth0',
      ]) {
        run('pod', command.split(' '));
      }
    });

    const attacks: readonly (readonly [name: string, ...args: readonly string[]])[] = [
      ['to a server on loopback, UDP', 'udp', '127.0.0.1', '9000', '10.1.0.2'],
      ['to a server on loopback, TCP', 'tcp', '127.0.0.1', '9000', '10.1.0.2'],
      ['as loopback to a server of all addresses', 'udp', gateway, '9001', '127.0.0.5'],
      ['to a host port of loopback', 'tcp', '127.0.0.1', '8081', '10.1.0.2'],
    ];

    test.each(attacks)('reaches nothing: %s', (_name, ...args) => {
      expect(anyAnswer('pod', ...args)).not.toMatch(/^from/);
    });

    test('would reach it without the guard, and does not once a host port was made again', async () => {
      run('host', ['nft', 'delete', 'table', 'ip', 'cni-portmap-loopback']);
      const [, ...first] = attacks[0] ?? [];
      expect(answer('pod', ...first)).toBe('from 10.1.0.2');
      await invoke('portmap', call('DEL', portmap()), signal);
      await invoke('portmap', call('ADD', portmap()), signal);
      for (const [name, ...args] of attacks) expect(anyAnswer('pod', ...args), name).not.toMatch(/^from/);
      expect(answer('host', 'tcp', '127.0.0.1', '8080')).toBe(`from ${gateway}`);
    });

    test('a guard that lost a rule is made whole', async () => {
      run('host', ['nft', 'flush', 'chain', 'ip', 'cni-portmap-loopback', 'loopback-guard']);
      await invoke('portmap', call('DEL', portmap()), signal);
      await invoke('portmap', call('ADD', portmap()), signal);
      for (const [name, ...args] of attacks) expect(anyAnswer('pod', ...args), name).not.toMatch(/^from/);
    });
  });
});
