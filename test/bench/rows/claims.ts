import type { PersistentVolumeClaim } from '#api/generated/objects.ts';
import { processorMs } from '#test/attack/processor-ms.ts';
import { accessOf, podsPath, watchObjects } from '#test/bench/bench-cluster.ts';
import { openClient, type H2Client } from '#test/bench/h2-client.ts';
import { summarise } from '#test/bench/measure.ts';
import { atMost, type Measurement, type Row } from '#test/bench/row.ts';
import { startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { pidsOf } from '#test/cluster/processes.ts';

const count = 100;
const claimsPath = '/api/v1/namespaces/default/persistentvolumeclaims';

/** On a whole cluster, over HTTPS: from the first POST of claims and their pods to the last claim Bound, by the class `standard` alone. */
export const claims: Row = {
  name: 'claims',
  inNamespaces: true,
  run: async (scale) => {
    const rounds: Costs[] = [];
    for (let round = 0; round < (scale.isQuick ? 1 : 3); round++) {
      await using cluster = await startCluster();
      await using client = await openClient(accessOf(cluster.kubeconfig));

      rounds.push(await hundredAtOnce(cluster, client));
    }
    const measured = (what: string, of: keyof Costs): Measurement => ({
      ...{ what, unit: 'ms', ours: summarise(rounds.map((each) => each[of])), peers: [] },
      budgets: of === 'boundMs' ? [atMost(2000)] : [],
    });
    return [
      measured(`${count} claims and their pods created at once to all Bound`, 'boundMs'),
      measured('processor time of the server until then', 'serverMs'),
      measured('processor time of the node until then', 'nodeMs'),
    ];
  },
};

interface Costs {
  readonly boundMs: number;
  readonly serverMs: number;
  readonly nodeMs: number;
}

async function hundredAtOnce(cluster: TestCluster, client: H2Client): Promise<Costs> {
  const bound = new Set<string>();
  const { promise: allBound, resolve } = Promise.withResolvers<void>();
  using _watch = await watchObjects<PersistentVolumeClaim>(
    client,
    claimsPath,
    (_type, { metadata, status }) => {
      if (status?.phase === 'Bound') bound.add(metadata?.name ?? '');
      if (bound.size === count) resolve();
    },
  );
  const { dataDir } = cluster;
  const pids = [`server .*${dataDir}/server `, `agent .*${dataDir}/node-1 `].map(
    (words) => pidsOf(new RegExp(`podwright\\.ts ${words}`))[0] ?? -1,
  );
  const before = pids.map(processorMs);
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await client.request('POST', claimsPath, JSON.stringify(claimNamed(`claim-${index}`)));
      await client.request('POST', podsPath, JSON.stringify(podOf(`claim-${index}`)));
    }),
  );
  await allBound;
  const boundMs = performance.now() - startMs;
  const [serverMs = 0, nodeMs = 0] = pids.map((pid, index) => processorMs(pid) - (before[index] ?? 0));
  return { boundMs, serverMs, nodeMs };
}

function claimNamed(name: string): PersistentVolumeClaim {
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } };
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec };
}

/** Its node is chosen with the claim's volume: the class waits for it. */
function podOf(claimName: string): object {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: claimName } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          ...{ name: 'main', image: 'podwright/demo:1', command: ['sleep', '1000'] },
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    },
  };
}
