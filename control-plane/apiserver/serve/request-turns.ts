import { performance } from 'node:perf_hooks';

import { nextTurn, promisesSettled, TurnTime } from '#base/time-slice.ts';
import type { ConnectionShare } from './connection-share.ts';
import { LevelCredit } from './level-credit.ts';
import { ReadTurns, type ReadSource } from './read-turns.ts';

/** Whose request it is that would begin. */
export interface Beginner {
  readonly connection: object;
  /** What it is read from, asked for once for a connection; absent in process. */
  readonly sourceOf?: (connection: object) => ReadSource;
  /** What is known of it from before. */
  readonly share: ConnectionShare;
  /** A question whether the server lives. */
  readonly isUrgent: boolean;
}

type Starts = (() => void)[];

/**
 * When requests begin; what they do before they first wait is a part of the turn. One read of an HTTP/2 connection may bring a thousand, which Node hands over in one turn of the event loop, as a
 * controller asks for five hundred pods; done at once, nobody else would be served meanwhile. What has no time in this turn waits for the next: levels take turns, in
 * each its users, of each its connections, so that who has many waits for himself, also to be told to come again. Most of what a client resets at once has gone by then.
 * A level that has taken little begins before the others and whatever is left of the turn (level-credit.ts). Of a level of which enough waits nothing more is read
 * meanwhile (read-turns.ts).
 */
export class RequestTurns {
  /** By level, user and connection; who has waited longest is first. */
  readonly #waiting = new Map<string, Map<string, Map<object, Starts>>>();
  readonly #time = new TurnTime();
  readonly #reads = new ReadTurns();
  readonly #credit = new LevelCredit();
  #isDraining = false;
  /** What the last one that began does at once has not been done yet, so that its time is not known. */
  #isBeginning = false;

  /** A connection has been made. */
  meet({ connection, sourceOf, share }: Beginner): void {
    if (sourceOf !== undefined) this.#reads.came(connection, share, sourceOf);
  }

  /** Begins it now or later. What is urgent waits for nobody. */
  begin(beginner: Beginner, start: () => void): void {
    const { connection, share, isUrgent } = beginner;
    this.meet(beginner);
    if (isUrgent) {
      start();
      return;
    }
    const nowMs = performance.now();
    const isFree = this.#waiting.size === 0 && !this.#isBeginning;
    if (isFree && (this.#time.isLeft() || this.#credit.isLeft(share.level, nowMs))) {
      this.#isBeginning = true;
      void promisesSettled().then(() => {
        this.#isBeginning = false;
        this.#pay(share.level, nowMs);
      });
      start();
      return;
    }
    const users = memberOf(this.#waiting, share.level, () => new Map<string, Map<object, Starts>>());
    const connections = memberOf(users, share.user, () => new Map<object, Starts>());
    memberOf(connections, connection, (): Starts => []).push(() => {
      this.#reads.begins(share);
      start();
    });
    this.#reads.waits(share);
    if (!this.#isDraining) void this.#drain();
  }

  /** The connection brings no requests any more, but something else. */
  forget(connection: object): void {
    this.#reads.forget(connection);
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    await promisesSettled();
    while (this.#waiting.size > 0 || this.#reads.isWaiting) {
      while (!this.#time.isLeft() && !this.#isCreditLeft()) await nextTurn();
      const startMs = performance.now();
      const level = this.#takeFirst();
      await promisesSettled(); // What it does at once is done before the time is looked at again.
      if (level !== undefined) this.#pay(level, startMs);
      this.#reads.goOn();
      if (this.#waiting.size === 0 && this.#reads.isWaiting) await nextTurn();
    }
    this.#isDraining = false;
  }

  #pay(level: string, sinceMs: number): void {
    const nowMs = performance.now();
    this.#credit.pay(level, nowMs - sinceMs, nowMs);
  }

  #isCreditLeft(): boolean {
    const nowMs = performance.now();
    return this.#waiting.keys().some((level) => this.#credit.isLeft(level, nowMs));
  }

  /**
   * Begins the first of the connection, of the user, of the level that has most credit or owes least, of equals that has waited longest; each of them then is the
   * last of its kind.
   * @returns the level
   */
  #takeFirst(): string | undefined {
    const level = this.#credit.mostOf(this.#waiting.keys(), performance.now());
    if (level === undefined) return undefined;
    const start = takeTurn(this.#waiting, level, (users) =>
      takeFirst(users, (connections) => takeFirst(connections, (starts) => starts.shift())),
    );
    start?.();
    return level;
  }
}

function memberOf<K, V>(all: Map<K, V>, key: K, make: () => V): V {
  const known = all.get(key);
  if (known !== undefined) return known;
  const made = make();
  all.set(key, made);
  return made;
}

type Sized = { readonly size: number } | { readonly length: number };

/** Takes of the first, which becomes the last if something is left of it. */
function takeFirst<K, V extends Sized, T>(all: Map<K, V>, take: (first: V) => T | undefined): T | undefined {
  const [key] = all.keys();
  return key === undefined ? undefined : takeTurn(all, key, take);
}

function takeTurn<K, V extends Sized, T>(
  all: Map<K, V>,
  key: K,
  take: (of: V) => T | undefined,
): T | undefined {
  const of = all.get(key);
  if (of === undefined) return undefined;
  all.delete(key);
  const taken = take(of);
  if (('size' in of ? of.size : of.length) > 0) all.set(key, of);
  return taken;
}
