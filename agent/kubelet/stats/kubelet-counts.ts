import { SecondsHistogram, shortBucketsSeconds } from './seconds-histogram.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { Outcome } from '#agent/kubelet/sync/outcome.ts';
import { containersOf, type PodFacts } from '#agent/kubelet/sync/pod-input.ts';

/** Of `kubelet_pod_start_duration_seconds`, as the kubelet has them. */
const startBucketsSeconds: readonly number[] = [
  0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700,
  3600,
];
/** How many of what there were, by labels; kinds of labels are few and bounded. */
export type Counts = ReadonlyMap<string, number>;

/** What became of this node's pods since the agent began, for /metrics: told of every outcome. */
export class KubeletCounts {
  readonly startedPods: Map<string, number> = new Map([['', 0]]);
  readonly startedPodErrors: Map<string, number> = new Map([['', 0]]);
  /** By `container_type`. */
  readonly startedContainers: Map<string, number> = new Map();
  /** By `container_type` and `code`, joined by a space. */
  readonly startedContainerErrors: Map<string, number> = new Map();
  /** By `eviction_signal`. */
  readonly evictions: Map<string, number> = new Map();
  /** By `reason`. */
  readonly rejections: Map<string, number> = new Map();
  /** By `operation_type`, in the names of the calls that the kubelet would make of a runtime. */
  readonly operations: Map<string, number> = new Map();
  readonly operationErrors: Map<string, number> = new Map();
  readonly podStart: SecondsHistogram = new SecondsHistogram(startBucketsSeconds);
  readonly podSync: SecondsHistogram = new SecondsHistogram(shortBucketsSeconds);

  /** Pods of which a container was started, by uid. */
  readonly #begun = new Set<string>();

  /** `facts`: of the pod, before they learned of it. */
  count(
    outcome: Outcome,
    pod: Pod,
    { facts, nowMs }: { readonly facts: PodFacts; readonly nowMs: number },
  ): void {
    const operation = operationOf(outcome);
    if (operation !== undefined) {
      add(this.operations, operation.name);
      if (operation.isFailure) add(this.operationErrors, operation.name);
    }
    switch (outcome.kind) {
      case 'sandboxRunning':
        return add(this.startedPods, '');
      case 'sandboxFailed':
        return add(this.startedPodErrors, '');
      case 'containerStarted':
        add(this.startedContainers, containerType(pod, outcome.container));
        this.#countStart(outcome.container, pod, { facts, nowMs });
        return;
      case 'objectDeleted':
        this.#begun.delete(pod.metadata?.uid ?? '');
        return;
      case 'startFailed':
      case 'pullFailed':
        return add(this.startedContainerErrors, `${containerType(pod, outcome.container)} ${outcome.reason}`);
      case 'launchFailed':
        return add(this.startedContainerErrors, `${containerType(pod, outcome.container)} RunContainerError`);
      case 'refused': {
        const { reason, signal = 'unknown' } = outcome.refusal;
        return reason === 'Evicted' ? add(this.evictions, signal) : add(this.rejections, reason);
      }
      default:
        return;
    }
  }

  /** Of the first main container of a pod: one that is started again, or ran before this agent, says nothing of how long starting takes. */
  #countStart(
    container: string,
    pod: Pod,
    { facts, nowMs }: { readonly facts: PodFacts; readonly nowMs: number },
  ): void {
    const { uid = '' } = pod.metadata ?? {};
    if (this.#begun.has(uid) || containerType(pod, container) !== 'container') return;
    this.#begun.add(uid);
    const hasRunBefore =
      pod.status?.containerStatuses?.some(({ state }) => state?.waiting === undefined) === true;
    if (!hasRunBefore) this.podStart.observe((nowMs - facts.firstSeenAtMs) / 1000);
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

interface Operation {
  readonly name: string;
  readonly isFailure: boolean;
}

function operationOf({ kind }: Outcome): Operation | undefined {
  switch (kind) {
    case 'sandboxRunning':
    case 'sandboxFailed':
      return { name: 'run_podsandbox', isFailure: kind === 'sandboxFailed' };
    case 'sandboxStopped':
      return { name: 'stop_podsandbox', isFailure: false };
    case 'podRemoved':
      return { name: 'remove_podsandbox', isFailure: false };
    case 'containerStarted':
    case 'startFailed':
    case 'launchFailed':
      return { name: 'start_container', isFailure: kind !== 'containerStarted' };
    case 'stopEnded':
      return { name: 'stop_container', isFailure: false };
    case 'containerRemoved':
      return { name: 'remove_container', isFailure: false };
    case 'pullDone':
    case 'pullFailed':
      return { name: 'pull_image', isFailure: kind === 'pullFailed' };
    default:
      return undefined;
  }
}

/** `container`, `init_container`, `ephemeral_container`. */
function containerType(pod: Pod, name: string): string {
  const kind = containersOf(pod).find(({ spec }) => spec.name === name)?.kind;
  if (kind === 'init' || kind === 'sidecar') return 'init_container';
  return kind === 'ephemeral' ? 'ephemeral_container' : 'container';
}
