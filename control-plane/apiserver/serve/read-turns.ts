import { currentTurn } from '#base/time-slice.ts';
import { unknownShare, type ConnectionShare } from './connection-share.ts';

/** What brings requests, and can be told to bring none for a while. */
export interface ReadSource {
  stopReading(): void;
  startReading(): void;
  onceEnded(listener: () => void): void;
}

/** Requests of one level that have been read and have not begun. Past that its connections are not read, until half of them have. */
export const readAheadMax = 16;

interface Known {
  readonly source: ReadSource;
  share: ConnectionShare;
  isStopped: boolean;
}

/** The connections of a priority level. */
interface Level {
  /** Requests that wait to begin. */
  ahead: number;
  readonly read: Set<Known>;
  /** By user, in the order in which they are read again. */
  readonly stopped: Map<string, Set<Known>>;
  /** The turn of the event loop in which some of them were last read again. */
  turn: number;
}

/**
 * Whose connections are read. Reading a request is some 30 µs of the one thread, and the event loop reads in one turn whatever has come: of a
 * tenant's two thousand connections that were told to come again in a second, all. So of a level of which enough waits to begin no connection
 * is read; what clients send meanwhile stays in the kernel. They are read on some in each turn, users taking turns, whoever has waited longest first.
 */
export class ReadTurns {
  readonly #known = new WeakMap<object, Known>();
  readonly #levels = new Map<string, Level>();
  /** Levels with connections that are not read. */
  readonly #stopped = new Set<Level>();

  /** Whether there are connections that are to be read again: `goOn` in every turn. */
  get isWaiting(): boolean {
    return this.#stopped.size > 0;
  }

  /** A connection that is read: there is one, or a request has come on it. */
  came(connection: object, share: ConnectionShare, sourceOf: (connection: object) => ReadSource): void {
    let known = this.#known.get(connection);
    if (known === undefined) {
      known = { source: sourceOf(connection), share, isStopped: false };
      this.#known.set(connection, known);
      known.source.onceEnded(() => this.forget(connection));
    } else if (known.share === share && !known.isStopped) return;
    else this.#remove(known);
    known.share = share;
    known.isStopped = false; // A stream that waited for its own writes reads on whatever it was told.
    this.#levelOf(share).read.add(known);
  }

  /** It has ended, or is none of requests any more: it is read from now on, if it is there. */
  forget(connection: object): void {
    const known = this.#known.get(connection);
    if (known === undefined) return;
    this.#known.delete(connection);
    this.#remove(known);
    if (known.isStopped) known.source.startReading();
  }

  /** A request of this level waits to begin. */
  waits(share: ConnectionShare): void {
    const level = this.#levelOf(share);
    if (++level.ahead < readAheadMax) return;
    this.#stop(level);
    this.#stop(this.#levelOf(unknownShare)); // Of whoever has not said whose they are, they may be the rest.
  }

  begins(share: ConnectionShare): void {
    const level = this.#levelOf(share);
    level.ahead--;
    this.#dropIfEmpty(level, share.level);
  }

  /** Some of what is not read is read again, once in a turn of the event loop, where little waits. */
  goOn(): void {
    const turn = currentTurn();
    for (const level of this.#stopped) {
      if (level.turn === turn || level.ahead > readAheadMax / 2) continue;
      level.turn = turn;
      for (let left = readAheadMax / 2; left > 0 && level.stopped.size > 0; left--) this.#startFirst(level);
    }
  }

  #stop(level: Level): void {
    for (const known of level.read) {
      known.isStopped = true;
      known.source.stopReading();
      const { user } = known.share;
      const own = level.stopped.get(user);
      if (own === undefined) level.stopped.set(user, new Set([known]));
      else own.add(known);
    }
    level.read.clear();
    if (level.stopped.size > 0) this.#stopped.add(level);
  }

  /** Of the user who has waited longest, who becomes the last if more is left. */
  #startFirst(level: Level): void {
    const [user, own] = level.stopped.entries().next().value ?? [];
    const [known] = own ?? [];
    if (user === undefined || own === undefined || known === undefined) return;
    own.delete(known);
    level.stopped.delete(user);
    if (own.size > 0) level.stopped.set(user, own);
    if (level.stopped.size === 0) this.#stopped.delete(level);
    known.isStopped = false;
    level.read.add(known);
    known.source.startReading();
  }

  #levelOf({ level: name }: ConnectionShare): Level {
    let level = this.#levels.get(name);
    if (level === undefined) {
      level = { ahead: 0, read: new Set(), stopped: new Map(), turn: -1 };
      this.#levels.set(name, level);
    }
    return level;
  }

  #remove(known: Known): void {
    const level = this.#levelOf(known.share);
    level.read.delete(known);
    const own = level.stopped.get(known.share.user);
    if (own?.delete(known) === true && own.size === 0) level.stopped.delete(known.share.user);
    if (level.stopped.size === 0) this.#stopped.delete(level);
    this.#dropIfEmpty(level, known.share.level);
  }

  #dropIfEmpty(level: Level, name: string): void {
    if (level.ahead === 0 && level.read.size === 0 && level.stopped.size === 0) this.#levels.delete(name);
  }
}
