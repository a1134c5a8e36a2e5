import type { Pod } from '#api/generated/objects.ts';
import { matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { isActive, isTerminal, isTerminating } from '#api/pod/state.ts';
import { readySinceMs } from './pod-state.ts';

/** What an owner asks about each of its pods; it stays while the owner's generation does. */
export interface PodQuestions {
  /** Who is its own no longer: a pod that it controls and does not select. */
  readonly isSelected: (pod: Pod) => boolean;
  readonly templateLabels: LabelMatcher;
  readonly minReadySeconds: number;
}

/** How many there are at some time. */
export interface PodCounts {
  readonly active: number;
  /** Of the active ones. */
  readonly ready: number;
  readonly available: number;
  /** With all labels of the template. */
  readonly labelled: number;
  /** Being deleted, and not over. */
  readonly terminating: number;
}

/** What one pod adds to the counts. */
interface Share {
  readonly pod: Pod;
  readonly isActive: boolean;
  readonly isTerminating: boolean;
  readonly isReady: boolean;
  readonly isLabelled: boolean;
  readonly isStray: boolean;
  /** From when on a ready one is available; in milliseconds since the epoch. */
  readonly availableFromMs: number;
}

/**
 * The pods that an owner controls, counted as they change: a look at them costs what has changed, not what there is. Objects of a cache
 * never change, so that each is asked once.
 */
export class OwnedPods {
  readonly #questions: PodQuestions;
  readonly #shares = new Map<string, Share>();
  readonly #strays = new Map<string, Pod>();
  /** Ready, and perhaps not available yet: each look takes those out whose time has come. */
  readonly #waiting = new Map<string, Share>();
  #list: readonly Pod[] | undefined;
  #active = 0;
  #ready = 0;
  #labelled = 0;
  #terminating = 0;
  /** Of those that are active, and wait. */
  #activeWaiting = 0;

  constructor(questions: PodQuestions) {
    this.#questions = questions;
  }

  get size(): number {
    return this.#shares.size;
  }

  get(key: string): Pod | undefined {
    return this.#shares.get(key)?.pod;
  }

  /** All of them; the same array until one changes. */
  list(): readonly Pod[] {
    this.#list ??= [...this.#shares.values()].map(({ pod }) => pod);
    return this.#list;
  }

  /** Controlled, but no longer selected, and not about to go anyway. */
  strays(): readonly Pod[] {
    return [...this.#strays.values()];
  }

  /** The pod of that key is this one now; undefined: none of the owner's. */
  put(key: string, pod: Pod | undefined): void {
    this.#list = undefined;
    const before = this.#shares.get(key);
    if (before !== undefined) this.#remove(key, before);
    if (pod !== undefined) this.#add(key, this.#shareOf(pod));
  }

  counts(nowMs: number): PodCounts {
    for (const [key, share] of this.#waiting) if (share.availableFromMs <= nowMs) this.#endWait(key, share);
    return {
      active: this.#active,
      ready: this.#ready,
      available: this.#ready - this.#activeWaiting,
      labelled: this.#labelled,
      terminating: this.#terminating,
    };
  }

  /** When the next of the ready ones becomes available, from now; undefined where none is on its way. */
  nextAvailableMs(nowMs: number): number | undefined {
    let nextMs = Infinity;
    for (const { availableFromMs } of this.#waiting.values())
      if (availableFromMs > nowMs) nextMs = Math.min(nextMs, availableFromMs - nowMs);
    return nextMs === Infinity ? undefined : nextMs;
  }

  #shareOf(pod: Pod): Share {
    const { isSelected, templateLabels, minReadySeconds } = this.#questions;
    const sinceMs = readySinceMs(pod);
    return {
      pod,
      isActive: isActive(pod),
      isTerminating: isTerminating(pod) && !isTerminal(pod),
      isReady: sinceMs !== undefined,
      isLabelled: matchesLabels(templateLabels, pod.metadata?.labels),
      isStray: pod.metadata?.deletionTimestamp === undefined && !isSelected(pod),
      // A time that is none never comes, unless nobody waits for it.
      availableFromMs: minReadySeconds === 0 ? 0 : (sinceMs ?? Infinity) + minReadySeconds * 1000 || Infinity,
    };
  }

  #add(key: string, share: Share): void {
    this.#shares.set(key, share);
    if (share.isStray) this.#strays.set(key, share.pod);
    this.#count(share, 1);
    if (!share.isReady || share.availableFromMs === 0) return;
    this.#waiting.set(key, share);
    if (share.isActive) this.#activeWaiting += 1;
  }

  #remove(key: string, share: Share): void {
    this.#shares.delete(key);
    this.#strays.delete(key);
    this.#count(share, -1);
    if (this.#waiting.has(key)) this.#endWait(key, share);
  }

  #count({ isActive, isTerminating, isReady, isLabelled }: Share, by: 1 | -1): void {
    if (isTerminating) this.#terminating += by;
    if (!isActive) return;
    this.#active += by;
    if (isReady) this.#ready += by;
    if (isLabelled) this.#labelled += by;
  }

  #endWait(key: string, share: Share): void {
    this.#waiting.delete(key);
    if (share.isActive) this.#activeWaiting -= 1;
  }
}
