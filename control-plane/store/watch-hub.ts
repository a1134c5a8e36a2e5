import type { PodwrightError } from '#base/errors.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { StoreEvent, StoreWatch, StoreWatchOptions, WatchInterest } from './store.ts';
import { LiveWatchers } from './live-watchers.ts';

type OnEvents = (events: readonly StoreEvent[]) => void;

interface Watcher {
  readonly prefix: string;
  readonly interest: WatchInterest | undefined;
  readonly onEvents: OnEvents;
  readonly onEnd: StoreWatchOptions['onEnd'];
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

export interface WatchOptions extends StoreWatchOptions {
  /** The watch may begin with the compacted revision, whose events lack what was before them. */
  readonly mayLackPrevious?: boolean;
}

/** Tells each watcher every event under its prefix exactly once and in order: first those of the past, in steps, then live. */
export class WatchHub {
  readonly #live = new LiveWatchers<Watcher>();
  readonly #eventsAfter: EventsAfter;

  constructor(eventsAfter: EventsAfter) {
    this.#eventsAfter = eventsAfter;
  }

  /** @throws what `eventsAfter` throws for the revision. */
  add(prefix: string, afterRevision: number, onEvents: OnEvents, options: WatchOptions = {}): StoreWatch {
    const { onEnd, interest, mayLackPrevious = false } = options;
    const replay = this.#eventsAfter(afterRevision, mayLackPrevious);
    const first = replay.next(); // Throws here, at once, when the past is gone.
    const revision = afterRevision;
    const asked = { prefix, interest, onEvents, onEnd, mayLackPrevious };
    const watcher: Watcher = { ...asked, replay: undefined, revision, isClosed: false };
    if (first.done === true) {
      this.#live.add(watcher);
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
    // What those who want the same get is one array: what they make of it they need make once.
    const news = new Map<ReadonlySet<Watcher>, StoreEvent[]>();
    for (const event of events) {
      for (const watchers of this.#live.wanting(event)) {
        const own = news.get(watchers);
        if (own === undefined) news.set(watchers, [event]);
        else own.push(event);
      }
    }
    for (const [watchers, own] of news) for (const watcher of watchers) tell(watcher, own);
  }

  /** Ends the watches that are live: the past has a gap from here on. Those that still replay come upon it themselves. */
  end(error: PodwrightError): void {
    const ended = this.#live.all();
    this.close();
    for (const { onEnd } of ended) onEnd?.(error);
  }

  close(): void {
    for (const watcher of this.#live.all()) watcher.isClosed = true;
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
      if (isFor(watcher, next.value)) matching.push(next.value);
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
      this.#live.add(watcher);
      return;
    }
    watcher.replay = prepend(first.value, rest);
    setImmediate(() => this.#replayStep(watcher));
  }

  #remove(watcher: Watcher): void {
    watcher.isClosed = true;
    this.#live.delete(watcher);
  }
}

function isFor({ prefix, interest }: Watcher, event: StoreEvent): boolean {
  if (!event.key.startsWith(prefix)) return false;
  return interest === undefined || interest.topicsOf(event).includes(interest.topic);
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
