import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { equalJson } from '#api/wire/json.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';
import { Heap } from './heap.ts';
import { queueEvents } from './metrics/event-labels.ts';

/** How long a pod waits before it is tried again, where others are to be tried: doubling. As kube-scheduler: 1 s to 10 s. */
export interface BackoffSettings {
  readonly podInitialBackoffMs: number;
  readonly podMaxBackoffMs: number;
}
const backoffByDefault: BackoffSettings = { podInitialBackoffMs: 1000, podMaxBackoffMs: 10_000 };
/** An unschedulable pod is tried again after this long even if nothing happened that should help it. */
const unschedulableMaxMs = 300_000;
/** Of those that back off and may come early, who is done within one of these has no advantage (kube-scheduler's backoffQOrderingWindowDuration). */
const earlyWindowMs = 1000;
/** Turns without effect that are kept, beside as many again as there are with. */
const staleTurnsMax = 1000;

/**
 * Pods that wait for a node. A pod is ready, or backing off (with a timer), or unschedulable: waiting for a change of the
 * cluster that may help it. Where none is ready, one that backs off after a change comes early: the back-off keeps it from being in the
 * way of others (KEP-5142). `onReady` is called when there is a pod to try and was none.
 */
export interface PendingPods extends Disposable {
  /** A new pod, or a new version of one that waits: ready at once unless it backs off. */
  put(pod: Pod): void;
  delete(key: string): void;
  /** The pod to try next: highest priority, then longest waiting; else one that may come early. It is out of the queue until put back. */
  take(): Pod | undefined;
  /** Those of the pods that wait, however they do. They are out of the queue until put back. */
  takeThese(keys: Iterable<string>): readonly Pod[];
  /** No node does, by the plugins named: waits for `wakeUnschedulable`, unless another version came while it was tried. */
  putUnschedulable(pod: Pod, refusedBy: ReadonlySet<string>): void;
  /** The try failed for a passing reason: its whole back-off has to pass. `pod`: as it is now. */
  putFailed(pod: Pod): void;
  /** Something changed: the unschedulable pods that it may help are tried again, each after its back-off. `event`: what it was, to be counted. */
  wakeUnschedulable(mayHelp: (pod: Pod, refusedBy: ReadonlySet<string>) => boolean, event?: string): void;
  readonly size: number;
  /** How many wait how. */
  counts(): Readonly<Record<'active' | 'backoff' | 'unschedulable', number>>;
  /** Those that no node does for, with who refused them. */
  refused(): readonly { readonly pod: Pod; readonly refusedBy: ReadonlySet<string> }[];
  /** What is known of a pod that waits, or is being tried. */
  waitOf(key: string): Wait | undefined;
}

export interface Wait {
  /** Tries that were without success. */
  readonly attempts: number;
  /** When it came first (monotonic). */
  readonly sinceMs: number;
  /** Whether it is tried because it waited for so long, and not because something happened. */
  readonly isFlushed: boolean;
}

export interface PendingPodsOptions extends BackoffSettings {
  /** Told when a pod comes to a queue of kube-scheduler's, and why. */
  readonly onQueued?: (queue: 'active' | 'backoff' | 'unschedulable', event: string) => void;
}

interface Entry extends Wait {
  readonly pod: Pod;
  readonly order: number;
  readonly state: 'ready' | 'backoff' | 'unschedulable' | 'taken';
  /** Not tried before (monotonic). */
  readonly notBeforeMs: number;
  readonly timer?: Disposable;
  /** Of one that backs off: it does for the sake of others alone. */
  readonly isEarly?: boolean;
  readonly refusedBy?: ReadonlySet<string>;
}

/** A place in a heap; without effect once the pod is in another state, or has another priority. */
interface Turn {
  readonly key: string;
  readonly priority: number;
  readonly order: number;
  /** Of those that back off, when they are done. */
  readonly window: number;
}

export function createPendingPods(
  clock: Clock,
  onReady: () => void,
  options: PendingPodsOptions = backoffByDefault,
): PendingPods {
  return new Queue(clock, onReady, options);
}

class Queue implements PendingPods {
  readonly #clock: Clock;
  readonly #onReady: () => void;
  readonly #backoff: Backoff;
  readonly #onQueued: NonNullable<PendingPodsOptions['onQueued']>;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Set<string>();
  readonly #unschedulable = new Set<string>();
  readonly #turns = new Heap<Turn>(isBefore);
  /** Those that back off and may come early. */
  readonly #early = new Set<string>();
  readonly #earlyTurns = new Heap<Turn>(isBefore);
  #nextOrder = 0;

  constructor(clock: Clock, onReady: () => void, options: PendingPodsOptions) {
    const { podInitialBackoffMs: initialMs, podMaxBackoffMs: maxMs, onQueued = () => undefined } = options;
    this.#backoff = { initialMs, factor: 2, maxMs };
    this.#onQueued = onQueued;
    this.#clock = clock;
    this.#onReady = onReady;
  }

  get size(): number {
    return this.#entries.size;
  }

  counts(): ReturnType<PendingPods['counts']> {
    const active = this.#ready.size;
    const unschedulable = this.#unschedulable.size;
    let backoff = 0;
    for (const { state } of this.#entries.values()) if (state === 'backoff') backoff++;
    return { active, backoff, unschedulable };
  }

  refused(): ReturnType<PendingPods['refused']> {
    return [...this.#unschedulable].flatMap((key) => {
      const { pod, refusedBy = new Set<string>() } = this.#entries.get(key) ?? {};
      return pod === undefined ? [] : [{ pod, refusedBy }];
    });
  }

  waitOf(key: string): Wait | undefined {
    return this.#entries.get(key);
  }

  put(pod: Pod): void {
    const key = objectKey(pod);
    const before = this.#entries.get(key);
    if (before === undefined || before.pod.metadata?.uid !== pod.metadata?.uid) {
      this.#set(key, { ...this.#newEntry(pod), state: 'ready' });
      this.#onQueued('active', queueEvents.add);
    } else if (before.state === 'unschedulable' && isChanged(before.pod, pod))
      this.#requeue(key, { ...before, pod }, queueEvents.update);
    else {
      this.#entries.set(key, { ...before, pod });
      if (priorityOf(before.pod) !== priorityOf(pod)) this.#addTurn(key);
    }
  }

  delete(key: string): void {
    this.#entries.get(key)?.timer?.[Symbol.dispose]();
    this.#entries.delete(key);
    this.#ready.delete(key);
    this.#early.delete(key);
    this.#unschedulable.delete(key);
  }

  take(): Pod | undefined {
    return this.#takeOf(this.#ready, this.#turns) ?? this.#takeOf(this.#early, this.#earlyTurns);
  }

  takeThese(keys: Iterable<string>): readonly Pod[] {
    return [...keys].flatMap((key) => {
      const entry = this.#entries.get(key);
      if (entry === undefined || entry.state === 'taken') return [];
      const { timer: _timer, ...rest } = entry;
      this.#set(key, { ...rest, state: 'taken' });
      return [entry.pod];
    });
  }

  putUnschedulable(pod: Pod, refusedBy: ReadonlySet<string>): void {
    const { key, entry: tried } = this.#tried(pod);
    const latest = this.#entries.get(key)?.pod;
    const entry = { ...tried, pod: latest?.metadata?.uid === pod.metadata?.uid ? (latest ?? pod) : pod };
    if (isChanged(pod, entry.pod)) {
      this.#requeue(key, entry, queueEvents.update);
      return;
    }
    const timer = this.#clock.after(unschedulableMaxMs, () =>
      this.#makeReady(key, { event: queueEvents.timeout, isFlushed: true }),
    );
    this.#set(key, { ...entry, state: 'unschedulable', timer, refusedBy });
    this.#onQueued('unschedulable', queueEvents.failure);
  }

  putFailed(pod: Pod): void {
    const { key, entry } = this.#tried(pod);
    this.#requeue(key, { ...entry, isEarly: false }, queueEvents.failure);
  }

  wakeUnschedulable(
    mayHelp: (pod: Pod, refusedBy: ReadonlySet<string>) => boolean,
    event: string = queueEvents.activate,
  ): void {
    for (const key of this.#unschedulable) {
      const entry = this.#entries.get(key);
      if (entry !== undefined && mayHelp(entry.pod, entry.refusedBy ?? new Set()))
        this.#requeue(key, entry, event);
    }
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#entries.values()) timer?.[Symbol.dispose]();
    this.#entries.clear();
    this.#ready.clear();
    this.#early.clear();
    this.#unschedulable.clear();
    this.#turns.clear();
    this.#earlyTurns.clear();
  }

  #takeOf(keys: ReadonlySet<string>, turns: Heap<Turn>): Pod | undefined {
    for (let turn = turns.pop(); turn !== undefined; turn = turns.pop()) {
      const { key, priority, order } = turn;
      const entry = this.#entries.get(key);
      if (entry === undefined || !keys.has(key)) continue;
      if (entry.order !== order || priorityOf(entry.pod) !== priority) continue;
      const { timer: _timer, ...rest } = entry;
      this.#set(key, { ...rest, state: 'taken' });
      return entry.pod;
    }
    return undefined;
  }

  #set(key: string, entry: Entry): void {
    this.#entries.get(key)?.timer?.[Symbol.dispose]();
    this.#entries.set(key, entry);
    if (entry.state === 'unschedulable') this.#unschedulable.add(key);
    else this.#unschedulable.delete(key);
    const wasEmpty = this.#ready.size + this.#early.size === 0;
    const isEarly = entry.state === 'backoff' && entry.isEarly === true;
    if (entry.state === 'ready') this.#ready.add(key);
    else this.#ready.delete(key);
    if (isEarly) this.#early.add(key);
    else this.#early.delete(key);
    if (entry.state !== 'ready' && !isEarly) return;
    this.#addTurn(key);
    if (wasEmpty) this.#onReady();
  }

  /** Turns without effect go when they come up; when most are, all at once. */
  #addTurn(key: string): void {
    const [keys, turns] = this.#ready.has(key) ? [this.#ready, this.#turns] : [this.#early, this.#earlyTurns];
    if (!keys.has(key)) return;
    const isFull = turns.size > 2 * keys.size + staleTurnsMax;
    if (isFull) turns.clear();
    for (const one of isFull ? keys : [key]) {
      const entry = this.#entries.get(one);
      if (entry === undefined) continue;
      const { pod, order, notBeforeMs } = entry;
      const window = keys === this.#early ? Math.floor(notBeforeMs / earlyWindowMs) : 0;
      turns.push({ key: one, priority: priorityOf(pod), order, window });
    }
  }

  #makeReady(
    key: string,
    { event, isFlushed = false }: { readonly event: string; readonly isFlushed?: boolean },
  ): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const { timer: _timer, ...rest } = entry;
    this.#set(key, { ...rest, isFlushed, state: 'ready' });
    this.#onQueued('active', event);
  }

  /** Ready once the back-off has passed, or nobody else is; not before of one whose try failed. */
  #requeue(key: string, entry: Entry, event: string): void {
    const waitMs = entry.notBeforeMs - this.#clock.monotonic();
    if (waitMs <= 0) this.#set(key, { ...entry, state: 'ready' });
    else {
      const timer = this.#clock.after(waitMs, () => this.#makeReady(key, { event: queueEvents.backoff }));
      this.#set(key, { ...entry, state: 'backoff', timer, isEarly: entry.isEarly ?? true });
    }
    this.#onQueued(waitMs <= 0 ? 'active' : 'backoff', event);
  }

  #newEntry(pod: Pod): Omit<Entry, 'state'> {
    const sinceMs = this.#clock.monotonic();
    return { pod, attempts: 0, notBeforeMs: 0, order: this.#nextOrder++, sinceMs, isFlushed: false };
  }

  #tried(pod: Pod): { readonly key: string; readonly entry: Entry } {
    const key = objectKey(pod);
    const { order, sinceMs, attempts: before } = this.#entries.get(key) ?? this.#newEntry(pod);
    const attempts = before + 1;
    const notBeforeMs = this.#clock.monotonic() + backoffMs(this.#backoff, attempts);
    const entry = { pod, attempts, notBeforeMs, order, sinceMs, isFlushed: false };
    return { key, entry: { ...entry, state: 'taken' } };
  }
}

/** Its status does not matter, and is written by the scheduler itself. */
function isChanged(old: Pod, current: Pod): boolean {
  return (
    !equalJson(old.spec, current.spec) ||
    !equalJson(old.metadata?.labels, current.metadata?.labels) ||
    !equalJson(old.status?.resourceClaimStatuses, current.status?.resourceClaimStatuses)
  );
}

function priorityOf(pod: Pod): number {
  return pod.spec?.priority ?? 0;
}

function isBefore(a: Turn, b: Turn): boolean {
  if (a.window !== b.window) return a.window < b.window;
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority;
}
