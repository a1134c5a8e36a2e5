/** When flows of UDP leave a backend that goes: what is sent after the rules are there is answered by another. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { expect } from 'vitest';
import type { Peer } from '#agent/proxy/packet-net.fixture.ts';
import type { ServiceSpec } from '#api/generated/objects.ts';
import { createSocketBalancer, socketBalancerRefusal } from '#native/bpf/sockets/socket-balancer.linux.ts';
import type { Bench } from './bench.fixture.ts';
import type { Row } from './row.fixture.ts';

const cgroupRoot = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(`${path}/cgroup.controllers`),
);
const hasSockets = (): boolean => cgroupRoot !== undefined && socketBalancerRefusal() === undefined;

interface Way {
  readonly name: string;
  readonly from: Peer;
  readonly to: string;
  readonly isConnected?: boolean;
}

const spec: ServiceSpec = {
  ...{ type: 'LoadBalancer', clusterIP: '10.96.0.95', externalIPs: ['203.0.113.95'] },
  ports: [{ port: 80, nodePort: 30_095 }],
};

const insideWays = ({ c }: Bench): readonly Way[] => [
  { name: 'cluster address', from: c, to: '10.96.0.95:80' },
  { name: 'connected socket', from: c, to: '10.96.0.95:80', isConnected: true },
];

const allWays = (bench: Bench): readonly Way[] => [
  ...insideWays(bench),
  { name: 'external address', from: bench.outside, to: '203.0.113.95:80' },
  { name: 'node port', from: bench.outside, to: '192.0.2.1:30095' },
];

/** The endpoints change while all send; of what is sent from then on no packet may come to a backend that is gone. */
async function leave(bench: Bench, what: string, ways: readonly Way[]): Promise<void> {
  const { put, putEndpoints, mode, family, a, b } = bench;
  await put('leaving', spec, [a], 'UDP');
  using stack = new DisposableStack();
  const clients = ways.map((way) => ({
    way,
    sender: stack.use(way.from.send(way.to, { isConnected: way.isConnected === true })),
  }));
  for (const { sender } of clients) await sender.heard('a');
  const startMs = performance.now();
  const first = clients.map(async ({ way, sender }) => {
    await sender.heard('b');
    return `${way.name} ${Math.round(performance.now() - startMs)}`;
  });
  await putEndpoints('leaving', [b], { protocol: 'UDP' });
  const marks = await Promise.all(clients.map(({ sender }) => sender.sent()));
  process.stdout.write(`${what}, ${mode} ${family}, ms: ${(await Promise.all(first)).join(', ')}\n`);
  for (const [index, { way, sender }] of clients.entries()) {
    const mark = marks[index] ?? 0;
    while ((await sender.heard('b')) <= mark + 5);
    const late = sender.answers().filter(({ name, number }) => name === 'a' && number > mark);
    expect(late, way.name).toEqual([]);
  }
}

/** The client's process among those whose sockets are led, until disposed. */
function joinCgroup(pid: number): Disposable & { readonly path: string } {
  const root = cgroupRoot ?? '';
  const path = join(root, `podwright-test-udp-${process.pid}`);
  const before = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '/';
  mkdirSync(path);
  writeFileSync(join(path, 'cgroup.procs'), String(pid));
  return {
    path,
    [Symbol.dispose]: () => {
      writeFileSync(join(root, before, 'cgroup.procs'), String(pid));
      rmdirSync(path);
    },
  };
}

export const leaveRows: readonly Row[] = [
  {
    name: 'a UDP flow, however it came, leaves a backend that goes with the change of rules',
    shows: ['flows of UDP', 'backends of a node that is gone'],
    run: (bench) => leave(bench, 'UDP leaves a backend', allWays(bench)),
  },
  {
    name: 'so do UDP sockets that are led to backends',
    shows: ['flows of UDP'],
    canRun: hasSockets,
    run: async (bench) => {
      using cgroup = joinCgroup(bench.c.pid);
      const sockets = createSocketBalancer(cgroup.path);
      await bench.restart({ sockets });
      await leave(bench, 'UDP leaves a backend by the fast path', insideWays(bench));
    },
  },
];
