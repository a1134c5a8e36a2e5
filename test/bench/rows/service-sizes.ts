import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

type Size = (typeof sizes)[number];

/** Many Services: by rules, and what sockets are led by. */
export const serviceSizes: Row = {
  name: 'service-sizes',
  inNamespaces: true,
  // A quick look is at a tenth: the largest table has more than a million elements.
  run: (scale) =>
    ofSizes(10, scale, async (given) => {
      const { size, load, change } = given;
      return [
        await alternate({
          ...{ what: `load ${size}`, unit: 'ms', rounds: scale.rounds(3), warmUp: 1 },
          contenders: [load.rules, load.sockets],
        }),
        await alternate({
          ...{ what: `change one of ${size}`, unit: 'ms', rounds: scale.rounds(50) },
          contenders: [change.rules, change.sockets],
        }),
      ];
    }),
};

/** The same beside upstream's kube-proxy, which writes all rules for each change: few rounds, and those take minutes. */
export const serviceProxies: Row = {
  name: 'service-proxies',
  inNamespaces: true,
  timeoutMs: 3_600_000,
  run: (scale) =>
    ofSizes(50, scale, async ({ size, load, change, objects }) => {
      await using stack = new AsyncDisposableStack();

      const peer = peerOf(objects);
      const rounds = scale.isQuick ? 1 : 2;
      return [
        await alternate({
          ...{ what: `load ${size}, beside kube-proxy`, unit: 'ms', rounds, warmUp: 0 },
          contenders: [load.rules, peer.load],
        }),
        await alternate({
          ...{ what: `change one of ${size}, beside kube-proxy`, unit: 'ms', rounds: rounds + 1, warmUp: 0 },
          contenders: [change.rules, await peer.change(stack)],
        }),
      ];
    }),
};

interface OfSize {
  readonly size: string;
  readonly objects: readonly ServiceOfProxy[];
  readonly load: Readonly<Record<'rules' | 'sockets', Contender>>;
  readonly change: Readonly<Record<'rules' | 'sockets', Contender>>;
}

/** One after the other; a quick look is at so small a part of each. */
async function ofSizes(
  quickPart: number,
  scale: Scale,
  measure: (given: OfSize) => Promise<readonly Measurement[]>,
): Promise<readonly Measurement[]> {
  await using kernel = await createNetlinkWorker();

  const measurements: Measurement[] = [];
  for (const { count, endpoints } of sizes) {
    await using stack = new AsyncDisposableStack();

    const sized = { count: scale.isQuick ? count / quickPart : count, endpoints };
    measurements.push(...(await measure(openSize(stack, kernel, sized))));
  }
  return measurements;
}

/** The Service that changes. */
const changes = 77;

/** The whole, and one Service of it: by rules, and what sockets are led by. */
function openSize(
  stack: AsyncDisposableStack,
  kernel: NetlinkWorker,
  { count, endpoints }: { readonly [each in keyof Size]: number },
): OfSize {
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
  const changed = (): readonly ProxyPort[] => portsOf(changes, ++turn % 2);
  const contender = (name: string, work: () => Promise<unknown>): Contender => ({
    ...{ name, round: () => timed(work) },
  });
  return {
    size: `${count} Services × ${endpoints}`,
    objects: Array.from({ length: count }, (_, n) => serviceObjects(n + 1, endpoints, 1)),
    load: {
      rules: contender('rules', () => kernel.nft.commit(ownNetns, [{ op: 'replaceTable', table }])),
      sockets: contender('sockets', () => balancer.replace(frontends)),
    },
    change: {
      rules: contender('rules', async () => {
        ruleset.set(`bench/s${changes}`, renderContribution(changed(), familyFacts.ip));
        await kernel.nft.commit(ownNetns, ruleset.takeChanges());
      }),
      sockets: contender('sockets', () => balancer.change(balancedFrontends(changed()))),
    },
  };
}

interface Peer {
  /** What it says that its first writing took. */
  readonly load: Contender;
  /** Of one that is there as long as the stack. */
  change(stack: AsyncDisposableStack): Promise<Contender>;
}

function peerOf(given: readonly ServiceOfProxy[]): Peer {
  const skipped = missingKubeProxy();
  const name = kubeProxyName;
  if (skipped !== undefined) return { load: { name, skipped }, change: async () => ({ name, skipped }) };
  const directory = mkdtempSync(join(tmpdir(), 'podwright-kube-proxy-'));
  const start = (): Promise<KubeProxy> => startKubeProxy(directory, given);
  const endpoints = given[0]?.slice.endpoints?.length ?? 0;
  let turn = 0;
  return {
    load: {
      name,
      round: async () => {
        await using proxy = await start();

        return proxy.loadMs;
      },
    },
    change: async (stack) => {
      const proxy = stack.use(await start());
      return {
        name,
        round: () => proxy.change(serviceObjects(changes, endpoints - (++turn % 2), turn).slice),
      };
    },
  };
}
