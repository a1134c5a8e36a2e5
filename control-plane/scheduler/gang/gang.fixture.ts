import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import type { Node, Pod, PodGroup, PodSpec } from '#api/generated/objects.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';

/** A scheduler on a fake API, and kubelets that let pods go at once. */
export interface GangCluster extends AsyncDisposable {
  readonly client: FakeApiClient;
  readonly clock: FakeClock;
  readonly metrics: SchedulerMetrics;
  /** Lets `ms` pass in steps, and everything come to rest in each. */
  settle(ms?: number): Promise<void>;
  pod(name: string): Pod | undefined;
  /** Where each pod is whose name begins so; '' where it is on no node. */
  placed(prefix: string): readonly string[];
  /** PodScheduled of a pod, or PodGroupScheduled of a group, as `status reason: message`. */
  told(kind: 'pod' | 'group', name: string): string | undefined;
}

export async function startGangCluster(nodes: Readonly<Record<string, string>>): Promise<GangCluster> {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const stack = new AsyncDisposableStack();
  const metrics = new SchedulerMetrics();
  const informers = stack.use(createInformers({ client, clock, random: () => 0.5 }));
  client.seed(kinds.namespaces, { metadata: { name: 'default' } });
  for (const [name, cpu] of Object.entries(nodes)) client.seed(kinds.nodes, nodeOf(name, cpu));
  stack.use(startScheduler({ informers, client, clock, logger: silentLogger, metrics, hasPodGroups: true }));
  const kubelet = informers.for(kinds.pods).onChange(({ current }) => {
    const { namespace, name = '', deletionTimestamp, finalizers = [] } = current?.metadata ?? {};
    if (deletionTimestamp !== undefined && finalizers.length === 0)
      void client.delete(kinds.pods, { namespace, name }, { gracePeriodSeconds: 0 }).catch(() => {});
  });
  stack.use(kubelet);
  const settle = async (ms = 0): Promise<void> => {
    for (let passed = 0; ; passed += 500) {
      await untilTurnsEnd();
      if (passed >= ms) return;
      clock.advance(500);
    }
  };
  const find = (name: string): Pod | undefined =>
    client.all(kinds.pods).find(({ metadata }) => metadata?.name === name);
  await settle();
  return {
    client,
    clock,
    metrics,
    settle,
    pod: find,
    placed: (prefix) =>
      client
        .all(kinds.pods)
        .filter(({ metadata }) => metadata?.name?.startsWith(prefix) === true)
        .map(({ spec }) => spec?.nodeName ?? ''),
    told: (kind, name) => {
      const conditions =
        kind === 'pod'
          ? find(name)?.status?.conditions
          : client.all(kinds.podGroups).find(({ metadata }) => metadata?.name === name)?.status?.conditions;
      const found = conditions?.find(({ type }) => /^Pod(Group)?Scheduled$/.test(type));
      return found && `${found.status} ${found.reason}: ${found.message}`;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function nodeOf(name: string, cpu: string): Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    status: { allocatable: { cpu, memory: '64Gi', pods: '110' } },
  };
}

export function gang(name: string, minCount: number, change: Partial<PodGroup['spec']> = {}): PodGroup {
  return {
    metadata: { name, namespace: 'default' },
    spec: { schedulingPolicy: { gang: { minCount } }, ...change },
  };
}

/** A pod that asks for one core. */
export function podOf(name: string, podGroupName?: string, change: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { name, namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }],
      ...(podGroupName === undefined ? {} : { schedulingGroup: { podGroupName } }),
      ...change,
    },
  };
}
