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
  /** By `eviction_signal`, of what the node was short of: from when that was measured to the eviction. */
  readonly evictionAges: Map<string, SecondsHistogram> = new Map();
  /** By `reason`. */
  readonly rejections: Map<string, number> = new Map();
  readonly podStart: SecondsHistogram = new SecondsHistogram(startBucketsSeconds);
  readonly podSync: SecondsHistogram = new SecondsHistogram(shortBucketsSeconds);
  /** Of pods that came to be known: how many main containers they have. */
  readonly containersPerPod: SecondsHistogram = new SecondsHistogram([1, 2, 4, 8, 16]);
  /** From a pod's creation until its main containers run, by `first_with_network`; the one without what images took. */
  readonly startsTotal: Map<string, SecondsHistogram> = startHistograms();
  readonly startsSli: Map<string, SecondsHistogram> = startHistograms();

  /** Pods of which a container was started, by uid. */
  readonly #begun = new Set<string>();
  /** Pods that came new to this node and do not run yet, by uid. */
  readonly #starting = new Map<string, Starting>();
  #hasFirst = false;

  /** A pod came to be known here. */
  seen({ metadata, spec, status }: Pod): void {
    this.containersPerPod.observe(spec?.containers.length ?? 0);
    if (status?.startTime === undefined && metadata?.uid !== undefined)
      this.#starting.set(metadata.uid, { pullFromMs: undefined, pullToMs: undefined, running: new Set() });
  }

  /** `facts`: of the pod, before they learned of it. */
  count(
    outcome: Outcome,
    pod: Pod,
    { facts, nowMs }: { readonly facts: PodFacts; readonly nowMs: number },
  ): void {
    this.#countSteps(outcome, pod, nowMs);
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
        const { reason, signal = 'unknown', measuredAtMs } = outcome.refusal;
        if (reason !== 'Evicted') return add(this.rejections, reason);
        add(this.evictions, signal);
        if (measuredAtMs !== undefined) this.#noteAge(signal, (nowMs - measuredAtMs) / 1000);
        return;
      }
      default:
        return;
    }
  }

  #noteAge(signal: string, seconds: number): void {
    const ages = this.evictionAges.get(signal) ?? new SecondsHistogram(shortBucketsSeconds);
    this.evictionAges.set(signal, ages);
    ages.observe(seconds);
  }

  /** What a start is made of (pkg/kubelet/util, pod_startup_latency_tracker.go). */
  #countSteps(outcome: Outcome, pod: Pod, nowMs: number): void {
    const { uid = '', creationTimestamp = '' } = pod.metadata ?? {};
    const starting = this.#starting.get(uid);
    if (starting === undefined) return;
    switch (outcome.kind) {
      case 'pullBegun':
        starting.pullFromMs ??= nowMs;
        return;
      case 'pullDone':
      case 'pullFailed':
        starting.pullToMs = nowMs;
        return;
      case 'objectDeleted':
      case 'refused':
        this.#starting.delete(uid);
        return;
      case 'containerStarted': {
        if (containerType(pod, outcome.container) === 'container') starting.running.add(outcome.container);
        if (pod.spec?.containers.every(({ name }) => starting.running.has(name)) !== true) return;
        this.#starting.delete(uid);
        const ms = nowMs - Date.parse(creationTimestamp);
        if (!Number.isNaN(ms)) this.#noteStart(pod, ms, starting);
        return;
      }
      default:
        return;
    }
  }

  #noteStart({ spec }: Pod, ms: number, { pullFromMs, pullToMs }: Starting): void {
    const isFirst = !this.#hasFirst && spec?.hostNetwork !== true;
    if (isFirst) this.#hasFirst = true;
    const pullMs = pullFromMs === undefined || pullToMs === undefined ? 0 : pullToMs - pullFromMs;
    const label = isFirst ? 'true' : '';
    this.startsTotal.get(label)?.observe(ms / 1000);
    this.startsSli.get(label)?.observe((ms - pullMs) / 1000);
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

interface Starting {
  pullFromMs: number | undefined;
  pullToMs: number | undefined;
  /** Names of main containers. */
  readonly running: Set<string>;
}

function startHistograms(): Map<string, SecondsHistogram> {
  return new Map(['', 'true'].map((label) => [label, new SecondsHistogram(startBucketsSeconds)]));
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** `container`, `init_container`, `ephemeral_container`. */
function containerType(pod: Pod, name: string): string {
  const kind = containersOf(pod).find(({ spec }) => spec.name === name)?.kind;
  if (kind === 'init' || kind === 'sidecar') return 'init_container';
  return kind === 'ephemeral' ? 'ephemeral_container' : 'container';
}
