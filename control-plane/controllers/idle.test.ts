/** What loops write while nothing happens: nothing. Nodes renew their Leases, and time passes. */
import { expect, it } from 'vitest';
import { formatMicroTime } from '#api/meta/time.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { startCluster, type Cluster } from './cluster.fixture.ts';

const metadata = (name: string) => ({ name, namespace: 'default' });
const labels = { app: 'x' };
const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu: '10m' } } }];
const template = { metadata: { labels }, spec: { containers } };
const selector = { matchLabels: labels };
const ports = [{ port: 80 }];

/** Something for each loop that has something to do for it. */
async function makeAll({ client }: Cluster): Promise<void> {
  const create = client.create;
  await create(kinds.resourceQuotas, { metadata: metadata('q'), spec: { hard: { pods: '50' } } });
  await create(kinds.deployments, { metadata: metadata('d'), spec: { replicas: 2, selector, template } });
  const ofSet = { metadata: { labels: { set: 's' } }, spec: { containers } };
  await create(kinds.statefulSets, {
    metadata: metadata('s'),
    spec: {
      ...{ replicas: 2, serviceName: 's', selector: { matchLabels: { set: 's' } }, template: ofSet },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  });
  const ofDaemon = { metadata: { labels: { set: 'ds' } }, spec: { containers } };
  await create(kinds.daemonSets, {
    metadata: metadata('ds'),
    spec: { selector: { matchLabels: { set: 'ds' } }, template: ofDaemon },
  });
  await create(kinds.replicationControllers, {
    metadata: metadata('rc'),
    spec: { replicas: 1, selector: { rc: 'x' }, template: { ...ofSet, metadata: { labels: { rc: 'x' } } } },
  });
  const once = { spec: { restartPolicy: 'Never', containers } } as const;
  await create(kinds.jobs, { metadata: metadata('j'), spec: { template: once } });
  await create(kinds.cronJobs, {
    metadata: metadata('cj'),
    spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: once } } },
  });
  await create(kinds.services, { metadata: metadata('svc'), spec: { ports, selector: labels } });
  await create(kinds.services, { metadata: metadata('by-hand'), spec: { ports } });
  await create(kinds.endpoints, {
    metadata: metadata('by-hand'),
    subsets: [{ addresses: [{ ip: '192.0.2.7' }], ports }],
  });
  await create(kinds.podDisruptionBudgets, { metadata: metadata('b'), spec: { minAvailable: 1, selector } });
  await create(kinds.namespaces, { metadata: { name: 'other' } });
  await create(kinds.configMaps, { metadata: metadata('c'), data: { a: 'b' } });
}

const stepMs = 5_000;

async function pass({ client, clock, settle }: Cluster, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    for (const { metadata: of } of client.all(kinds.nodes)) {
      const name = of?.name ?? '';
      const spec = { holderIdentity: name, renewTime: formatMicroTime(clock.now()) };
      client.seed(kinds.leases, { metadata: { name, namespace: 'kube-node-lease' }, spec });
    }
    clock.advance(stepMs);
    await settle();
  }
}

it('an idle cluster writes nothing in an hour, with objects for each loop', async () => {
  await using cluster = await startCluster();

  await pass(cluster, 10_000);
  await makeAll(cluster);
  await pass(cluster, 120_000);
  const pods = cluster.client.all(kinds.pods);
  expect(pods.filter(({ status }) => status?.phase === 'Running')).toHaveLength(7);
  const before = cluster.client.writes.length;
  await pass(cluster, 3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
}, 60_000);
