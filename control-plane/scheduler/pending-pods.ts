import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { equalJson } from '#api/wire/json.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';

/** As kube-scheduler: 1 s, doubling, to 10 s. */
const backoff: Backoff = { initialMs: 1000, factor: 2, maxMs: 10_000 };
/** An unschedulable pod is tried again after this long even if nothing happened that should help it. */
const unschedulableMaxMs = 300_000;

/**
 * Pods that wait for a node. A pod is ready, or backing off (with a timer), or unschedulable: waiting for a change of the
 * cluster that may help it. `onReady` is called when the first pod becomes ready.
 */
export interface PendingPods extends Disposable {
  /** A new pod, or a new version of one that waits: ready at once unless it backs off. */
  put(pod: Pod): void;
  delete(key: string): void;
  /** The pod to try next: highest priority, then longest waiting. It is out of the queue until put back. */
  take(): Pod | undefined;
  /** No node does: waits for `wakeUnschedulable`. */
  putUnschedulable(pod: Pod): void;
  /** The try failed for a passing reason. */
  putFailed(pod: Pod): void;
  /** Something changed that may help: all unschedulable pods are tried again, each after its back-off. */
  wakeUnschedulable(): void;
  readonly size: number;
}

interface Entry {
  readonly pod: Pod;
  readonly order: number;
  readonly attempts: number;
  readonly state: 'ready' | 'backoff' | 'unschedulable' | 'taken';
  /** Not tried before (monotonic). */
  readonly notBeforeMs: number;
  readonly timer?: Disposable;
}

export function createPendingPods(clock: Clock, onReady: () => void): PendingPods {
  const entries = new Map<string, Entry>();
  const ready = new Set<string>();
  let nextOrder = 0;

  const set = (key: string, entry: Entry): void => {
    entries.get(key)?.timer?.[Symbol.dispose]();
    entries.set(key, entry);
    if (entry.state !== 'ready') ready.delete(key);
    else {
      const wasEmpty = ready.size === 0;
      ready.add(key);
      if (wasEmpty) onReady();
    }
  };
  const makeReady = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    const { timer: _timer, ...rest } = entry;
    set(key, { ...rest, state: 'ready' });
  };
  /** Ready once the back-off has passed. */
  const requeue = (key: string, entry: Entry): void => {
    const waitMs = entry.notBeforeMs - clock.monotonic();
    if (waitMs <= 0) set(key, { ...entry, state: 'ready' });
    else set(key, { ...entry, state: 'backoff', timer: clock.after(waitMs, () => makeReady(key)) });
  };
  const tried = (pod: Pod): { readonly key: string; readonly entry: Entry } => {
    const key = objectKey(pod);
    const before = entries.get(key);
    const attempts = (before?.attempts ?? 0) + 1;
    const notBeforeMs = clock.monotonic() + backoffMs(backoff, attempts);
    return {
      key,
      entry: { pod, attempts, notBeforeMs, order: before?.order ?? nextOrder++, state: 'taken' },
    };
  };
  return {
    put: (pod) => {
      const key = objectKey(pod);
      const before = entries.get(key);
      if (before?.pod.metadata?.uid !== pod.metadata?.uid || before === undefined) {
        set(key, { pod, attempts: 0, notBeforeMs: 0, order: nextOrder++, state: 'ready' });
      } else if (before.state === 'unschedulable' && isChanged(before.pod, pod))
        requeue(key, { ...before, pod });
      else entries.set(key, { ...before, pod });
    },
    delete: (key) => {
      entries.get(key)?.timer?.[Symbol.dispose]();
      entries.delete(key);
      ready.delete(key);
    },
    take: () => {
      let best: { readonly key: string; readonly entry: Entry } | undefined;
      for (const key of ready) {
        const entry = entries.get(key);
        if (entry !== undefined && (best === undefined || isBefore(entry, best.entry))) best = { key, entry };
      }
      if (best === undefined) return undefined;
      ready.delete(best.key);
      entries.set(best.key, { ...best.entry, state: 'taken' });
      return best.entry.pod;
    },
    putUnschedulable: (pod) => {
      const { key, entry } = tried(pod);
      const timer = clock.after(unschedulableMaxMs, () => makeReady(key));
      set(key, { ...entry, state: 'unschedulable', timer });
    },
    putFailed: (pod) => {
      const { key, entry } = tried(pod);
      requeue(key, entry);
    },
    wakeUnschedulable: () => {
      for (const [key, entry] of entries) if (entry.state === 'unschedulable') requeue(key, entry);
    },
    get size() {
      return entries.size;
    },
    [Symbol.dispose]: () => {
      for (const { timer } of entries.values()) timer?.[Symbol.dispose]();
      entries.clear();
      ready.clear();
    },
  };
}

/** Its status does not matter, and is written by the scheduler itself. */
function isChanged(old: Pod, current: Pod): boolean {
  return !equalJson(old.spec, current.spec) || !equalJson(old.metadata?.labels, current.metadata?.labels);
}

function isBefore(a: Entry, b: Entry): boolean {
  const priority = (entry: Entry): number => entry.pod.spec?.priority ?? 0;
  return priority(a) !== priority(b) ? priority(a) > priority(b) : a.order < b.order;
}
