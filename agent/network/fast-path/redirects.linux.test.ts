/** Packets on a real kernel, of both families: who passes by the stack, and that translated connections never do. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createNftRules } from '#agent/proxy/nft-rules.ts';
import {
  families,
  networks,
  nodeIps,
  startPacketNet,
  type PacketNet,
  type TestFamily,
} from '#agent/proxy/packet-net.fixture.ts';
import { inFamily } from '#agent/proxy/services.fixture.ts';
import { interfacePlace, programsOf } from '#native/bpf/attach.linux.ts';
import {
  packetRedirectorConformance,
  type OpenFlow,
} from '#native/bpf/redirect/packet-redirector.conformance.ts';
import {
  createPacketRedirector,
  packetRedirectorRefusal,
} from '#native/bpf/redirect/packet-redirector.linux.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { ifNameToIndex } from '#native/sys/libc.ts';

const canRun = process.getuid?.() === 0 && packetRedirectorRefusal() === undefined;
const pieceBytes = 1_048_576;

/** Gives a piece for each byte that it is sent. */
const server = `
require('net').createServer((s) => { s.on('error', () => {}); s.on('data', () => s.write(Buffer.alloc(${pieceBytes}))); })
  .listen(9000, '::', () => console.log('ready'));`;
/** Connects, says so, and gets a piece for each line. */
const client = `
const [host, port] = process.argv.slice(1); let got = 0;
const s = require('net').connect({ host, port }, () => console.log('connected'));
s.on('data', (d) => { got += d.length; if (got === ${pieceBytes}) { got = 0; console.log('piece'); } });
s.on('error', (e) => console.log(e.code));
require('readline').createInterface({ input: process.stdin }).on('line', () => s.write('x')).on('close', () => process.exit());`;

let net: PacketNet;
const links: Partial<Record<'a' | 'b', PodLink>> = {};
const stack = new AsyncDisposableStack();

const netnsOf = (pod: string): string => `${tmpdir()}/podwright-test-redirects-${process.pid}-${pod}`;

interface Process extends AsyncDisposable {
  /** What it says next. */
  readonly line: () => Promise<string>;
  readonly say: () => void;
}

function startIn(pod: string, script: string, ...args: readonly string[]): Process {
  const argv = [`--net=${netnsOf(pod)}`, process.execPath, '-e', script, ...args];
  const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    line: async () => String((await lines.next()).value),
    say: () => void child.stdin.write('\n'),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      child.kill('SIGKILL');
    },
  };
}

/** Bytes that the node has sent to a pod by its cable. */
function sentTo({ ifname }: PodLink): number {
  const line = readFileSync('/proc/thread-self/net/dev', 'utf8')
    .split('\n')
    .find((each) => each.trim().startsWith(`${ifname}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[8]);
}

function linkOf(pod: 'a' | 'b'): PodLink {
  const link = links[pod];
  if (link === undefined) throw new Error(`no link of ${pod}`);
  return link;
}

async function open(host: string, port = 9000): Promise<OpenFlow> {
  const process = startIn('a', client, host, String(port));
  expect(await process.line()).toBe('connected');
  return {
    passesBy: async () => {
      const before = sentTo(linkOf('a'));
      process.say();
      expect(await process.line()).toBe('piece');
      return sentTo(linkOf('a')) - before < pieceBytes / 2;
    },
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

describe.skipIf(!canRun)('redirected packets (need root and tcx)', () => {
  beforeAll(async () => {
    const of = await startPacketNet('redirects');
    net = of('ip');
    const netlink = createSyncNetlink();
    for (const [index, pod] of (['a', 'b'] as const).entries()) {
      const state = await netlink.state({ kind: 'path', path: netnsOf(pod) });
      const mac = state.links.find(({ name }) => name === 'eth0')?.mac ?? '';
      const ips = families.map((family) => inFamily(family, `10.244.0.${10 + index}`));
      links[pod] = { ips, ifname: `veth-${pod}`, mac };
    }
    expect(await stack.use(startIn('b', server)).line()).toBe('ready');
  });
  afterAll(async () => {
    await stack.disposeAsync();
    await net[Symbol.asyncDispose]();
  });

  for (const family of families)
    packetRedirectorConformance(`of ${family}`, async () => {
      const redirector = createPacketRedirector();
      return {
        redirector,
        another: createPacketRedirector,
        pods: { a: linkOf('a'), b: linkOf('b') },
        open: () => open(inFamily(family, '10.244.0.11')),
        [Symbol.asyncDispose]: async () => {
          using last = createPacketRedirector();

          for (const pod of [linkOf('a'), linkOf('b')]) {
            last.withdraw(pod);
            expect(programsOf(interfacePlace(ifNameToIndex(pod.ifname)))).toEqual([]);
          }
          redirector[Symbol.dispose]();
        },
      };
    });

  it.each(families)(
    'a connection of %s that is translated never passes by, whatever others do',
    async (family) => {
      using redirector = createPacketRedirector();

      const services = createNftRules({
        ...{ networks, nodeIps, nft: createSyncNft(), clock: systemClock, log: silentLogger },
      });
      const vip = inFamily(family, '10.96.0.9');
      services.set(served(family, vip));
      await services.commit();
      const pods = [linkOf('a'), linkOf('b')];
      for (const pod of pods) redirector.admit(pod);
      await using direct = await open(inFamily(family, '10.244.0.11'));
      await using translated = await open(vip, 80);

      for (let round = 0; round < 3; round++)
        expect([await direct.passesBy(), await translated.passesBy()]).toEqual([true, false]);
      for (const pod of pods) redirector.withdraw(pod);
      expect(await translated.passesBy()).toBe(false);
    },
  );
});

function served(
  family: TestFamily,
  address: string,
): Parameters<ReturnType<typeof createNftRules>['set']>[0] {
  const backends = [{ ip: inFamily(family, '10.244.0.11'), port: 9000, isLocal: true }];
  return {
    key: 'd/web',
    family: family === 'ip' ? 4 : 6,
    ports: [
      {
        ...{ id: 'd/web:', protocol: 6, clusterIps: [{ address, port: 80 }], externals: [] },
        ...{ sourceLimit: undefined, nodePort: undefined, backends, localBackends: backends },
        ...{ isInternalLocal: false, isExternalLocal: false, affinitySeconds: undefined },
      },
    ],
  };
}
