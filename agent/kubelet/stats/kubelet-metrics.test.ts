import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { createPodMemory, initialFacts } from '#agent/kubelet/sync/pod-memory.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import type { Outcome } from '#agent/kubelet/sync/outcome.ts';
import { KubeletCounts } from './kubelet-counts.ts';
import { RuntimeCounts } from './runtime-counts.ts';
import { readProcess } from '#agent/node/process-metrics.ts';
import { renderKubeletMetrics } from './kubelet-metrics.ts';

const pod: Pod = {
  metadata: { uid: 'u', name: 'p', namespace: 'n' },
  spec: {
    initContainers: [{ name: 'first', image: 'i' }],
    containers: [
      { name: 'main', image: 'i' },
      { name: 'other', image: 'i' },
    ],
  },
};

const still = { monotonic: () => 0, now: () => 0 };

/** The lines of /metrics after these outcomes, 2.5 s after the pod was seen. */
function linesAfter(outcomes: readonly Outcome[], of: Pod = pod): readonly string[] {
  const counts = new KubeletCounts();
  const memory = createPodMemory('u', { pod: of, isPresent: true }, 1000, (outcome, seen, facts) =>
    counts.count(outcome, seen, { facts, nowMs: 3500 }),
  );
  for (const outcome of outcomes) memory.report(outcome);
  return render(counts).split('\n');
}

function render(counts: KubeletCounts, runtime = new RuntimeCounts(still)): string {
  return renderKubeletMetrics({
    nodeName: 'node-1',
    desired: [pod, pod, { ...pod, metadata: { annotations: { 'kubernetes.io/config.source': 'file' } } }],
    pods: [],
    ...{ counts, runtime },
    imagesRemoved: { age: 1, space: 2 },
    process: readProcess(Date.now()),
    volumes: [],
  });
}

const started = (container: string): Outcome => ({
  kind: 'containerStarted',
  container,
  id: container,
  resources: {},
  hasHook: false,
});
const failed: Outcome = {
  ...{ kind: 'startFailed', container: 'first', reason: 'CreateContainerError' },
  ...{ message: 'no', atMs: 1 },
};
const pullFailed: Outcome = {
  ...{ kind: 'pullFailed', container: 'main', image: 'i', attempt: 1, reason: 'ErrImagePull' },
  ...{ message: 'no', atMs: 1 },
};
const refused = (reason: string, message: string, more: Partial<Refusal> = {}): Outcome => ({
  kind: 'refused',
  refusal: { reason, message, ...more },
});

describe('renderKubeletMetrics()', () => {
  it.each<{ name: string; given: readonly Outcome[]; want: readonly string[] }>([
    {
      name: 'nothing yet',
      given: [],
      want: [
        'kubelet_node_name{node="node-1"} 1',
        'kubelet_desired_pods{static=""} 2',
        'kubelet_desired_pods{static="true"} 1',
        'kubelet_mirror_pods 1',
        'kubelet_cgroup_version 2',
        'kubelet_started_pods_total 0',
        'kubelet_image_garbage_collected_total{reason="space"} 2',
        'kubelet_pod_start_duration_seconds_count 0',
      ],
    },
    {
      name: 'a pod of two containers that starts counts once, by what its first main container took',
      given: [{ kind: 'sandboxRunning', resources: {} }, started('first'), started('main'), started('other')],
      want: [
        'kubelet_started_pods_total 1',
        'kubelet_started_containers_total{container_type="container"} 2',
        'kubelet_started_containers_total{container_type="init_container"} 1',
        'kubelet_pod_start_duration_seconds_bucket{le="2"} 0',
        'kubelet_pod_start_duration_seconds_bucket{le="3"} 1',
        'kubelet_pod_start_duration_seconds_sum 2.5',
        'kubelet_pod_start_duration_seconds_count 1',
      ],
    },
    {
      name: 'what goes wrong',
      given: [{ kind: 'sandboxFailed', message: 'no', atMs: 1 }, failed, pullFailed],
      want: [
        'kubelet_started_pods_errors_total 1',
        'kubelet_started_containers_errors_total{container_type="init_container",code="CreateContainerError"} 1',
        'kubelet_started_containers_errors_total{container_type="container",code="ErrImagePull"} 1',
      ],
    },
    {
      name: 'pods that are not taken or not kept',
      given: [
        refused('OutOfcpu', 'Pod was rejected: …'),
        refused('Evicted', 'Usage …', { signal: 'emptydirfs.limit' }),
        refused('Evicted', 'The node was low …', { signal: 'memory.available', measuredAtMs: 3400 }),
      ],
      want: [
        'kubelet_admission_rejections_total{reason="OutOfcpu"} 1',
        'kubelet_evictions{eviction_signal="emptydirfs.limit"} 1',
        'kubelet_evictions{eviction_signal="memory.available"} 1',
        'kubelet_eviction_stats_age_seconds_sum{eviction_signal="memory.available"} 0.1',
        'kubelet_eviction_stats_age_seconds_count{eviction_signal="memory.available"} 1',
      ],
    },
  ])('tells of $name', ({ given, want }) => {
    expect(linesAfter(given)).toEqual(expect.arrayContaining([...want]));
  });

  it('tells what pods took from their creation, without what their images took, the first with a network apart', () => {
    const counts = new KubeletCounts();
    const run = (uid: string, endMs: number): void => {
      const metadata = { uid, creationTimestamp: new Date(0).toISOString() };
      const of: Pod = { ...pod, metadata };
      const facts = initialFacts(of, 0);
      counts.seen(of);
      const begun: Outcome = { kind: 'pullBegun', container: 'main', image: 'i', attempt: 1 };
      counts.count(begun, of, { facts, nowMs: 1000 });
      counts.count(pullFailed, of, { facts, nowMs: 2000 });
      counts.count(started('main'), of, { facts, nowMs: 3000 });
      counts.count(started('other'), of, { facts, nowMs: endMs });
    };
    run('a', 5000);
    run('b', 9000);
    expect(render(counts).split('\n')).toEqual(
      expect.arrayContaining([
        'kubelet_pod_start_total_duration_seconds_sum{first_with_network="true"} 5',
        'kubelet_pod_start_sli_duration_seconds_sum{first_with_network="true"} 4',
        'kubelet_pod_start_total_duration_seconds_sum{first_with_network=""} 9',
        'kubelet_containers_per_pod_count_bucket{le="1"} 0',
        'kubelet_containers_per_pod_count_bucket{le="2"} 2',
        'kubelet_working_pods{lifecycle="sync",config="desired",static="true"} 1',
        'kubelet_working_pods{lifecycle="terminated",config="runtime_only",static="unknown"} 0',
      ]),
    );
  });

  it('tells what a runtime was asked', () => {
    const runtime = new RuntimeCounts(still);
    runtime.of({ images: {}, observeAll: () => [] } as unknown as Runtime).observeAll();
    expect(render(new KubeletCounts(), runtime).split('\n')).toEqual(
      expect.arrayContaining([
        'kubelet_pleg_relist_duration_seconds_bucket{le="10"} 1',
        'kubelet_pleg_relist_duration_seconds_count 1',
        'kubelet_pleg_relist_interval_seconds_count 0',
      ]),
    );
  });

  it('does not time a pod that ran before this agent did', () => {
    const running = {
      name: 'main',
      image: 'i',
      imageID: '',
      ready: true,
      restartCount: 0,
      state: { running: {} },
    };
    const lines = linesAfter([started('main')], { ...pod, status: { containerStatuses: [running] } });
    expect(lines).toContain('kubelet_pod_start_duration_seconds_count 0');
  });

  it('is text that Prometheus reads, with a type for every sample', () => {
    const counts = new KubeletCounts();
    counts.count(failed, pod, { facts: initialFacts(pod, 0), nowMs: 0 });
    counts.podSync.observe(0.02);
    const typed = new Set<string>();
    for (const line of render(counts).trimEnd().split('\n')) {
      const type = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line);
      if (type?.[1] !== undefined) typed.add(type[1]);
      if (line.startsWith('#')) continue;
      const [, name = ''] = /^(\w+)(?:\{(?:\w+="[^"]*",?)+\})? [\d.e+-]+$/.exec(line) ?? [];
      expect(typed, line).toContain(name.replace(/_(bucket|sum|count)$/, ''));
    }
  });
});
