import type { PodwrightError } from '#base/errors.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { StoreEvent, StoreWatch } from './store.ts';

type OnEvents = (events: readonly StoreEvent[]) => void;
type OnEnd = (error: PodwrightError) => void;

interface Watcher {
  readonly prefix: string;
  readonly onEvents: OnEvents;
  readonly onEnd: OnEnd | undefined;
  readonly mayLackPrevious: boolean;
  /** What is still to be told of the past; undefined once it is live. */
  replay: Iterator<StoreEvent, void> | undefined;
  /** The last revision that the watcher was told of, or started after. */
  revision: number;
  isClosed: boolean;
}

/** A step goes on to the end of its last revision. */
const replayEventsMax = 1000;

type EventsAfter = (revision: number, mayLackPrevious: boolean) => Iterator<StoreEvent, void>;

export interface WatchOptions {
  readonly onEnd?: OnEnd | undefined;
  /** The watch may begin with the compacted revision, whose events lack what was before them. */
  readonly mayLackPrevious?: boolean;
}

/** Tells each watcher every event under its prefix exactly once and in order: first those of the past, in steps, then live. */
export class WatchHub {
  /** Live watchers by prefix, so that a prefix that many share is matched once. */
  readonly #live = new Map<string, Set<Watcher>>();
  readonly #eventsAfter: EventsAfter;

  constructor(eventsAfter: EventsAfter) {
    this.#eventsAfter = eventsAfter;
  }

  /** @throws what `eventsAfter` throws for the revision. */
  add(prefix: string, afterRevision: number, onEvents: OnEvents, options: WatchOptions = {}): StoreWatch {
    const { onEnd, mayLackPrevious = false } = options;
    const replay = this.#eventsAfter(afterRevision, mayLackPrevious);
    const first = replay.next(); // Throws here, at once, when the past is gone.
    const revision = afterRevision;
    const asked = { prefix, onEvents, onEnd, mayLackPrevious };
    const watcher: Watcher = { ...asked, replay: undefined, revision, isClosed: false };
    if (first.done === true) {
      this.#goLive(watcher);
    } else {
      watcher.replay = prepend(first.value, replay);
      setImmediate(() => this.#replayStep(watcher));
    }
    return {
      get isCurrent() {
        return watcher.replay === undefined && !watcher.isClosed;
      },
      [Symbol.dispose]: () => this.#remove(watcher),
    };
  }

  /** Tells live watchers; those that still replay find the events in the past. */
  publish(events: readonly StoreEvent[]): void {
    if (events.length === 0) return;
    for (const [prefix, watchers] of this.#live) {
      const matching = events.filter((event) => event.key.startsWith(prefix));
      if (matching.length === 0) continue;
      for (const watcher of watchers) tell(watcher, matching);
    }
  }

  /** Ends the watches that are live: the past has a gap from here on. Those that still replay come upon it themselves. */
  end(error: PodwrightError): void {
    const ended = [...this.#live.values()].flatMap((watchers) => [...watchers]);
    this.close();
    for (const { onEnd } of ended) onEnd?.(error);
  }

  close(): void {
    for (const watchers of this.#live.values()) for (const watcher of watchers) watcher.isClosed = true;
    this.#live.clear();
  }

  #replayStep(watcher: Watcher): void {
    if (watcher.isClosed || watcher.replay === undefined) return;
    const matching: StoreEvent[] = [];
    for (let count = 0; ; count++) {
      const next = watcher.replay.next();
      if (next.done === true) {
        tell(watcher, matching);
        this.#catchUp(watcher);
        return;
      }
      if (count >= replayEventsMax && next.value.current.modRevision > watcher.revision) {
        watcher.replay = prepend(next.value, watcher.replay);
        break;
      }
      if (next.value.key.startsWith(watcher.prefix)) matching.push(next.value);
      watcher.revision = next.value.current.modRevision;
    }
    tell(watcher, matching);
    setImmediate(() => this.#replayStep(watcher));
  }

  /** What was published while the replay ran is past by now; only when nothing is left does the watcher go live. */
  #catchUp(watcher: Watcher): void {
    if (watcher.isClosed) return;
    const rest = this.#eventsAfter(watcher.revision, watcher.mayLackPrevious);
    let first: IteratorResult<StoreEvent, void>;
    try {
      first = rest.next();
    } catch (error) {
      if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
      watcher.isClosed = true; // Compaction overtook a replay that took this long.
      watcher.onEnd?.(error);
      return;
    }
    if (first.done === true) {
      watcher.replay = undefined;
      this.#goLive(watcher);
      return;
    }
    watcher.replay = prepend(first.value, rest);
    setImmediate(() => this.#replayStep(watcher));
  }

  #goLive(watcher: Watcher): void {
    const group = this.#live.get(watcher.prefix);
    if (group === undefined) this.#live.set(watcher.prefix, new Set([watcher]));
    else group.add(watcher);
  }

  #remove(watcher: Watcher): void {
    watcher.isClosed = true;
    const group = this.#live.get(watcher.prefix);
    if (group?.delete(watcher) === true && group.size === 0) this.#live.delete(watcher.prefix);
  }
}

function tell(watcher: Watcher, events: readonly StoreEvent[]): void {
  const first = events[0];
  const last = events.at(-1);
  if (first === undefined || last === undefined || watcher.isClosed) return;
  // A watch may start after a revision that is yet to come, or be opened by a handler of these very events.
  const isNew = watcher.replay !== undefined || first.current.modRevision > watcher.revision;
  const news = isNew ? events : events.filter((event) => event.current.modRevision > watcher.revision);
  watcher.revision = Math.max(watcher.revision, last.current.modRevision);
  if (news.length > 0) watcher.onEvents(news);
}

function* prepend(first: StoreEvent, rest: Iterator<StoreEvent, void>): Generator<StoreEvent, void> {
  yield first;
  for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value;
}
