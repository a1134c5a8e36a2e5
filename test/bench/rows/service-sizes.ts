import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EndpointSlice } from '#api/generated/objects.ts';
import { renderContribution } from '#agent/proxy/contribution.ts';
import { createRuleset } from '#agent/proxy/ruleset.ts';
import { computeProxyPorts, type ProxyPort } from '#agent/proxy/service-map.ts';
import { balancedFrontends } from '#agent/proxy/sockets/balanced.ts';
import { familyFacts } from '#agent/proxy/table-layout.ts';
import { createSocketBalancer } from '#native/bpf/sockets/socket-balancer.linux.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createNetlinkWorker, type NetlinkWorker } from '#native/netlink/worker.ts';
import {
  kubeProxyName,
  missingKubeProxy,
  startKubeProxy,
  type KubeProxy,
  type ServiceOfProxy,
} from '#test/bench/kube-proxy.ts';
import { alternate, timed, type Contender } from '#test/bench/measure.ts';
import type { Measurement, Row, Scale } from '#test/bench/row.ts';
import { serviceObjects } from '#test/bench/service-objects.ts';

const cidrs = { clusterCidr: '10.128.0.0/9', serviceCidr: '10.96.0.0/12' };
const node = { name: 'node-1', zone: undefined, ips: ['192.0.2.1'] };

/** What a cluster may have: many small Services, and fewer large ones. */
const sizes = [
  { count: 10_000, endpoints: 5 },
  { count: 5_000, endpoints: 50 },
] as const;

/** Many Services: by rules, what sockets are led by, and upstream's kube-proxy. */
export const serviceSizes: Row = {
  name: 'service-sizes',
  inNamespaces: true,
  run: async (scale) => {
    await using kernel = await createNetlinkWorker();

    const measurements: Measurement[] = [];
    // A quick look is at a tenth: the largest table has more than a million elements.
    for (const { count, endpoints } of sizes)
      measurements.push(
        ...(await ofSize(kernel, { count: scale.isQuick ? count / 10 : count, endpoints }, scale)),
      );
    return measurements;
  },
};

/** The whole, and one Service of it: by rules, what sockets are led by, and kube-proxy, by what it says of its first writing. */
async function ofSize(
  kernel: NetlinkWorker,
  { count, endpoints }: { readonly count: number; readonly endpoints: number },
  scale: Scale,
): Promise<readonly Measurement[]> {
  await using stack = new AsyncDisposableStack();

  const portsOf = (n: number, less = 0): readonly ProxyPort[] => {
    const { service, slice } = serviceObjects(n, endpoints - less, 1);
    return computeProxyPorts(service, [slice], node, 'ip');
  };
  const all = Array.from({ length: count }, (_, n) => portsOf(n + 1));
  const ruleset = createRuleset({ family: 'ip', ...cidrs });
  all.forEach((ports, n) => ruleset.set(`bench/s${n + 1}`, renderContribution(ports, familyFacts.ip)));
  const table = ruleset.takeTable();
  stack.defer(() => kernel.nft.commit(ownNetns, [{ op: 'removeTable', table }]));
  const cgroup = `/sys/fs/cgroup/podwright-services-${process.pid}`;
  mkdirSync(cgroup);
  stack.defer(() => rmdirSync(cgroup));
  const balancer = stack.use(createSocketBalancer(cgroup));
  stack.defer(async () => void (await balancer.remove()));
  const frontends = all.flatMap(balancedFrontends);
  let turn = 0;
  const changed = (): readonly ProxyPort[] => portsOf(77, ++turn % 2);
  const size = `${count} Services × ${endpoints}`;
  const rules = {
    name: 'rules',
    round: () => timed(() => kernel.nft.commit(ownNetns, [{ op: 'replaceTable', table }])),
  };
  const sockets = { name: 'sockets', round: () => timed(() => balancer.replace(frontends)) };
  const change = (name: string, work: () => Promise<unknown>): Contender => ({
    name,
    round: () => timed(work),
  });
  const peer = peerOf(Array.from({ length: count }, (_, n) => serviceObjects(n + 1, endpoints, 1)));
  return [
    await alternate({
      ...{
        what: `load ${size}`,
        unit: 'ms',
        contenders: [rules, sockets, peer.load],
        rounds: scale.rounds(3),
        warmUp: 1,
      },
    }),
    await alternate({
      ...{ what: `change one of ${size}`, unit: 'ms', rounds: scale.rounds(50) },
      contenders: [
        change('rules', async () => {
          ruleset.set('bench/s77', renderContribution(changed(), familyFacts.ip));
          await kernel.nft.commit(ownNetns, ruleset.takeChanges());
        }),
        change('sockets', () => balancer.change(balancedFrontends(changed()))),
        await peer.change(stack, () => serviceObjects(77, endpoints - (++turn % 2), turn).slice),
      ],
    }),
  ];
}

interface Peer {
  readonly load: Contender;
  /** Of one that is there as long as the stack; each round tells it of a slice. */
  change(stack: AsyncDisposableStack, next: () => EndpointSlice): Promise<Contender>;
}

function peerOf(given: readonly ServiceOfProxy[]): Peer {
  const skipped = missingKubeProxy();
  const name = kubeProxyName;
  if (skipped !== undefined) return { load: { name, skipped }, change: async () => ({ name, skipped }) };
  const directory = mkdtempSync(join(tmpdir(), 'podwright-kube-proxy-'));
  const start = (): Promise<KubeProxy> => startKubeProxy(directory, given);
  return {
    load: {
      name,
      round: async () => {
        await using proxy = await start();

        return proxy.loadMs;
      },
    },
    change: async (stack, next) => {
      const proxy = stack.use(await start());
      return { name, round: () => proxy.change(next()) };
    },
  };
}
