/**
 * No pod waits though a node does for it: after each change of a random cluster, when back-offs have passed and long before pods are tried for having
 * waited too long, every pod that waits is asked about by `plan --cluster`. PODWRIGHT_FUZZ_SEED repeats a run, PODWRIGHT_SCHEDULER_STEPS makes it longer.
 */
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createRandom } from '#base/random.fixture.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Observed } from '#bin/plan/cluster/observed.ts';
import { planLandings } from '#bin/plan/cluster/what-if.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { Dice, namespaceNames, randomNode, randomPod, storageOf } from './random-cluster.fixture.ts';

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const steps = Number(process.env['PODWRIGHT_SCHEDULER_STEPS'] ?? 60);

interface World {
  readonly client: FakeApiClient;
  readonly dice: Dice;
  readonly nextName: (prefix: string) => string;
}

const placeOf = ({ metadata }: Pod | Node) => ({
  ...(metadata?.namespace === undefined ? {} : { namespace: metadata.namespace }),
  name: metadata?.name ?? '',
});
const pick = <T>(dice: Dice, list: readonly T[]): T | undefined => list[dice.below(list.length)];
const isOnNode = ({ spec }: Pod): boolean => (spec?.nodeName ?? '') !== '';

/** Of claims that nobody binds while a pod waits for it there is none here. */
const bound = new Set(['in-z1', 'in-z1-or-z2', 'labelled-z2', 'lost', 'unbound', 'none']);

async function addPod({ client, dice, nextName }: World): Promise<void> {
  const pod = withNamespaceSelector(dice, randomPod(dice, nextName('p'), 0.2));
  const volumes = pod.spec?.volumes?.filter(
    ({ persistentVolumeClaim: claim }) => claim === undefined || bound.has(claim.claimName),
  );
  await client.create(kinds.pods, { ...pod, spec: { containers: [], ...pod.spec, volumes } });
}

const status = { subresource: 'status' };

/** What 1.20 did not have. */
function withNamespaceSelector(dice: Dice, pod: Pod): Pod {
  const { spec = { containers: [] } } = pod;
  if (spec.affinity?.podAffinity === undefined || dice.is(0.5)) return pod;
  const terms = spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution?.map((term) => ({
    ...term,
    namespaceSelector: { matchLabels: { team: dice.oneOf('red', 'blue') } },
  }));
  const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: terms };
  return { ...pod, spec: { ...spec, affinity: { ...spec.affinity, podAffinity } } };
}

async function updateNode(
  { client, dice }: World,
  change: (node: Node) => Node,
  how: { readonly subresource?: string } = {},
): Promise<void> {
  const node = pick(dice, client.all(kinds.nodes));
  if (node !== undefined) await client.update(kinds.nodes, change(node), how);
}

/** What users, kubelets and volumes do to a cluster. */
const changes: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  'a pod': addPod,
  'another pod': addPod,
  'a node': async ({ client, dice, nextName }) => client.seed(kinds.nodes, randomNode(dice, nextName('n'))),
  'another node': async ({ client, dice, nextName }) =>
    client.seed(kinds.nodes, randomNode(dice, nextName('n'))),
  'a node goes': async ({ client, dice }) => {
    const node = pick(dice, client.all(kinds.nodes));
    if (node === undefined) return;
    await client.delete(kinds.nodes, placeOf(node));
    for (const pod of client.all(kinds.pods))
      if (pod.spec?.nodeName === node.metadata?.name)
        await client.delete(kinds.pods, placeOf(pod), { gracePeriodSeconds: 0 });
  },
  'labels of a node': (world) =>
    updateNode(world, (node) => {
      const { labels } = randomNode(world.dice, node.metadata?.name ?? '').metadata ?? {};
      return { ...node, metadata: { ...node.metadata, labels } };
    }),
  'taints of a node': (world) =>
    updateNode(world, (node) => ({ ...node, spec: randomNode(world.dice, 'x').spec })),
  'room of a node': (world) =>
    updateNode(world, (node) => ({ ...node, status: randomNode(world.dice, 'x').status }), status),
  'a pod goes': async ({ client, dice }) => {
    const pod = pick(dice, client.all(kinds.pods).filter(isOnNode));
    if (pod !== undefined) await client.delete(kinds.pods, placeOf(pod), { gracePeriodSeconds: 0 });
  },
  'a pod has done its work': async ({ client, dice }) => {
    const pod = pick(dice, client.all(kinds.pods).filter(isOnNode));
    if (pod !== undefined)
      await client.update(kinds.pods, { ...pod, status: { ...pod.status, phase: 'Succeeded' } }, status);
  },
  'a pod begins to go': async ({ client, dice }) => {
    const pod = pick(dice, client.all(kinds.pods).filter(isOnNode));
    if (pod !== undefined) await client.delete(kinds.pods, placeOf(pod), { gracePeriodSeconds: 3600 });
  },
  'labels of a namespace': async ({ client, dice }) => {
    const namespace = pick(dice, client.all(kinds.namespaces));
    const labels = { team: dice.oneOf('red', 'blue') };
    if (namespace !== undefined)
      await client.update(kinds.namespaces, { ...namespace, metadata: { ...namespace.metadata, labels } });
  },
  'labels of a pod': async ({ client, dice }) => {
    const pod = pick(dice, client.all(kinds.pods).filter(isOnNode));
    const labels = { app: dice.oneOf('a', 'b', 'c') };
    if (pod !== undefined) await client.update(kinds.pods, { ...pod, metadata: { ...pod.metadata, labels } });
  },
  'a claim is bound, and one comes': async ({ client, dice }) => {
    const namespace = dice.oneOf<string>(...namespaceNames);
    const metadata = { name: 'none', namespace, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } };
    const spec = { accessModes: ['ReadWriteOnce'], storageClassName: '', volumeName: 'free-z1' };
    const isThere = client
      .all(kinds.persistentVolumeClaims)
      .some((one) => one.metadata?.name === 'none' && one.metadata.namespace === namespace);
    if (!isThere) client.seed(kinds.persistentVolumeClaims, { metadata, spec, status: { phase: 'Bound' } });
  },
};

/** What happens all the time and helps nobody. */
async function heartbeat({ client, dice }: World): Promise<void> {
  const node = pick(dice, client.all(kinds.nodes));
  const type = { type: 'MemoryPressure', status: dice.oneOf('True', 'False') };
  if (node !== undefined)
    await client.update(kinds.nodes, { ...node, status: { ...node.status, conditions: [type] } }, status);
  const pod = pick(dice, client.all(kinds.pods).filter(isOnNode));
  if (pod !== undefined && pod.status?.phase !== 'Succeeded')
    await client.update(kinds.pods, { ...pod, status: { ...pod.status, phase: 'Running' } }, status);
}

function observed(client: FakeApiClient): Observed {
  return {
    ...{ nodes: client.all(kinds.nodes), pods: client.all(kinds.pods), replicaSets: [], services: [] },
    ...{ namespaces: client.all(kinds.namespaces), budgets: [], podGroups: [], quotas: [] },
    claims: client.all(kinds.persistentVolumeClaims),
    volumes: client.all(kinds.persistentVolumes),
    classes: client.all(kinds.storageClasses),
    ...{ csiNodes: [], csiDrivers: [], capacities: [] },
  };
}

function seedStorage(client: FakeApiClient): void {
  for (const { path, object, status } of storageOf(namespaceNames)) {
    const [resource = '', , namespace] = path.split('/').toReversed();
    const { metadata } = object as { readonly metadata: object };
    const one = { ...object, ...(status === undefined ? {} : { status }) };
    if (resource === 'storageclasses')
      client.seed(kinds.storageClasses, { provisioner: '', ...one, metadata });
    else if (resource === 'persistentvolumes') client.seed(kinds.persistentVolumes, { ...one, metadata });
    else
      client.seed(kinds.persistentVolumeClaims, {
        ...one,
        metadata: { ...metadata, namespace: path.split('/')[4] ?? namespace },
      });
  }
}

function sumOf(
  { metrics }: SchedulerMetrics,
  metric: string,
  label: Readonly<Record<string, string>>,
): number {
  const [[name, wanted] = []] = Object.entries(label);
  return (metrics.find((one) => one.name === metric)?.read() ?? [])
    .filter(({ labels }) => labels[name ?? ''] === wanted)
    .reduce((total, { value }) => total + value, 0);
}

const attempts = 'scheduler_schedule_attempts_total';

/** Tries that found no node, but those of pods that had waited for too long. */
function refusals(metrics: SchedulerMetrics): number {
  return (
    sumOf(metrics, attempts, { result: 'unschedulable' }) -
    sumOf(metrics, 'scheduler_queue_incoming_pods_total', { event: 'UnschedulableTimeout' })
  );
}

function queuedBy({ metrics }: SchedulerMetrics): string {
  const counted = metrics.find(({ name }) => name === 'scheduler_queue_incoming_pods_total');
  return (counted?.read() ?? [])
    .map(({ labels, value }) => `${labels['queue']} ${labels['event']} ${value}`)
    .join(', ');
}

it(`no pod waits though a node does for it, seed ${seed}`, async () => {
  await using stack = new AsyncDisposableStack();
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const metrics = new SchedulerMetrics();
  const dice = new Dice(createRandom(seed));
  let count = 0;
  const world: World = { client, dice, nextName: (prefix) => `${prefix}${count++}` };
  for (const name of namespaceNames) client.seed(kinds.namespaces, { metadata: { name } });
  seedStorage(client);
  const informers = stack.use(createInformers({ client, clock, random: () => 0.5 }));
  stack.use(startScheduler({ informers, client, clock, logger: silentLogger, metrics }));
  const settle = async (): Promise<void> => {
    await untilTurnsEnd();
    for (let passed = 0; passed <= 11; passed++) {
      clock.advance(1000); // Back-offs are of ten seconds at most.
      await untilTurnsEnd();
    }
  };
  const past: string[] = [];
  for (let step = 0; step < steps; step++) {
    const what = pick(dice, Object.keys(changes)) ?? 'a pod';
    past.push(what);
    await changes[what]?.(world);
    await settle();
    const all = observed(client);
    const forgotten = all.pods
      .filter((pod) => !isOnNode(pod))
      .map((pod) => ({ pod, landing: planLandings([{ of: '', pod }], all)[0] }))
      .filter(({ landing }) => landing?.result !== 'waits');
    expect(forgotten, `${past.length} steps, the last: ${past.at(-1)}`).toEqual([]);
    const before = refusals(metrics);
    const queued = queuedBy(metrics);
    await heartbeat(world);
    await settle();
    expect(refusals(metrics), `tries after a heartbeat: ${queued} is ${queuedBy(metrics)}`).toBe(before);
  }
  expect(sumOf(metrics, attempts, { result: 'scheduled' })).toBeGreaterThan(0);
});
