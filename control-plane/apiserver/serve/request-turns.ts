import { nextTurn, promisesSettled, TurnTime } from '#base/time-slice.ts';
import type { ConnectionShare } from './connection-share.ts';
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
 * Of a level of which enough waits nothing more is read meanwhile (read-turns.ts).
 */
export class RequestTurns {
  /** By level, user and connection; who has waited longest is first. */
  readonly #waiting = new Map<string, Map<string, Map<object, Starts>>>();
  readonly #time = new TurnTime();
  readonly #reads = new ReadTurns();
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
    if (this.#waiting.size === 0 && !this.#isBeginning && this.#time.isLeft()) {
      this.#isBeginning = true;
      process.nextTick(() => (this.#isBeginning = false)); // As promisesSettled().
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
      while (!this.#time.isLeft()) await nextTurn();
      this.#takeFirst()?.();
      await promisesSettled(); // What it does at once is done before the time is looked at again.
      this.#reads.goOn();
      if (this.#waiting.size === 0 && this.#reads.isWaiting) await nextTurn();
    }
    this.#isDraining = false;
  }

  /** The first of the connection, of the user, of the level that has waited longest; each of them then is the last of its kind. */
  #takeFirst(): (() => void) | undefined {
    return takeTurn(this.#waiting, (users) =>
      takeTurn(users, (connections) => takeTurn(connections, (starts) => starts.shift())),
    );
  }
}

function memberOf<K, V>(all: Map<K, V>, key: K, make: () => V): V {
  const known = all.get(key);
  if (known !== undefined) return known;
  const made = make();
  all.set(key, made);
  return made;
}

/** Takes of the first, which becomes the last if something is left of it. */
function takeTurn<K, V extends { readonly size: number } | { readonly length: number }, T>(
  all: Map<K, V>,
  take: (first: V) => T | undefined,
): T | undefined {
  const [key, first] = all.entries().next().value ?? [];
  if (key === undefined || first === undefined) return undefined;
  all.delete(key);
  const taken = take(first);
  if (('size' in first ? first.size : first.length) > 0) all.set(key, first);
  return taken;
}
