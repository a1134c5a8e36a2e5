import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { createPodMemory, initialFacts } from '#agent/kubelet/sync/pod-memory.ts';
import type { Outcome } from '#agent/kubelet/sync/outcome.ts';
import { KubeletCounts } from './kubelet-counts.ts';
import { readProcess, renderKubeletMetrics } from './kubelet-metrics.ts';

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

/** The lines of /metrics after these outcomes, 2.5 s after the pod was seen. */
function linesAfter(outcomes: readonly Outcome[], of: Pod = pod): readonly string[] {
  const counts = new KubeletCounts();
  const memory = createPodMemory('u', { pod: of, isPresent: true }, 1000, (outcome, seen, facts) =>
    counts.count(outcome, seen, { facts, nowMs: 3500 }),
  );
  for (const outcome of outcomes) memory.report(outcome);
  return render(counts).split('\n');
}

function render(counts: KubeletCounts): string {
  return renderKubeletMetrics({
    nodeName: 'node-1',
    desired: [pod, pod, { ...pod, metadata: { annotations: { 'kubernetes.io/config.source': 'file' } } }],
    pods: [],
    counts,
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
const refused = (reason: string, message: string, signal?: string): Outcome => ({
  kind: 'refused',
  refusal: { reason, message, ...(signal === undefined ? {} : { signal }) },
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
        'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
        'kubelet_runtime_operations_total{operation_type="start_container"} 3',
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
        'kubelet_runtime_operations_errors_total{operation_type="pull_image"} 1',
        'kubelet_runtime_operations_errors_total{operation_type="run_podsandbox"} 1',
      ],
    },
    {
      name: 'pods that are not taken or not kept',
      given: [
        refused('OutOfcpu', 'Pod was rejected: …'),
        refused('Evicted', 'Usage …', 'emptydirfs.limit'),
        refused('Evicted', 'The node was low …', 'memory.available'),
      ],
      want: [
        'kubelet_admission_rejections_total{reason="OutOfcpu"} 1',
        'kubelet_evictions{eviction_signal="emptydirfs.limit"} 1',
        'kubelet_evictions{eviction_signal="memory.available"} 1',
      ],
    },
  ])('tells of $name', ({ given, want }) => {
    expect(linesAfter(given)).toEqual(expect.arrayContaining([...want]));
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
