import type { StoreEvent, WatchInterest } from './store.ts';

/** By what a watch is found. */
interface Wanted {
  readonly prefix: string;
  readonly interest: WatchInterest | undefined;
}

/** Who watches one prefix. */
interface Audience<W> {
  /** Those who want all that is under it. */
  readonly whole: Set<W>;
  /** The others, by how topics are told and by the topic. */
  readonly byTopic: Map<WatchInterest['topicsOf'], Map<string, Set<W>>>;
}

const slash = 0x2f;

/**
 * Watches that are live, found by what they want: an event asks for each folder of its key and each of its topics once, and never a
 * watch that does not want it, however many there are.
 */
export class LiveWatchers<W extends Wanted> {
  readonly #byPrefix = new Map<string, Audience<W>>();
  /** Lengths of those prefixes that are no folder, with how many there are: at most as many as a key is long. */
  readonly #oddLengths = new Map<number, number>();

  add(watcher: W): void {
    const { prefix, interest } = watcher;
    let audience = this.#byPrefix.get(prefix);
    if (audience === undefined) {
      audience = { whole: new Set(), byTopic: new Map() };
      this.#byPrefix.set(prefix, audience);
      if (!isFolder(prefix)) this.#countOdd(prefix.length, 1);
    }
    if (interest === undefined) {
      audience.whole.add(watcher);
      return;
    }
    const topics = ensure(audience.byTopic, interest.topicsOf, () => new Map<string, Set<W>>());
    ensure(topics, interest.topic, () => new Set<W>()).add(watcher);
  }

  delete(watcher: W): void {
    const { prefix, interest } = watcher;
    const audience = this.#byPrefix.get(prefix);
    if (audience === undefined) return;
    audience.whole.delete(watcher);
    if (interest !== undefined) {
      const topics = audience.byTopic.get(interest.topicsOf);
      const watchers = topics?.get(interest.topic);
      watchers?.delete(watcher);
      if (watchers?.size === 0) topics?.delete(interest.topic);
      if (topics?.size === 0) audience.byTopic.delete(interest.topicsOf);
    }
    if (audience.whole.size > 0 || audience.byTopic.size > 0) return;
    this.#byPrefix.delete(prefix);
    if (!isFolder(prefix)) this.#countOdd(prefix.length, -1);
  }

  clear(): void {
    this.#byPrefix.clear();
    this.#oddLengths.clear();
  }

  all(): readonly W[] {
    return [...this.#byPrefix.values()].flatMap(({ whole, byTopic }) => [
      ...whole,
      ...[...byTopic.values()].flatMap((topics) => [...topics.values()].flatMap((watchers) => [...watchers])),
    ]);
  }

  /** Those who want the event, together where they want the same. */
  wanting(event: StoreEvent): readonly ReadonlySet<W>[] {
    const wanting: ReadonlySet<W>[] = [];
    const { key } = event;
    for (let end = key.indexOf('/'); end >= 0; end = key.indexOf('/', end + 1))
      this.#collect(key.slice(0, end + 1), event, wanting);
    for (const length of this.#oddLengths.keys()) {
      if (length <= key.length && key.charCodeAt(length - 1) !== slash)
        this.#collect(key.slice(0, length), event, wanting);
    }
    return wanting;
  }

  #collect(prefix: string, event: StoreEvent, wanting: ReadonlySet<W>[]): void {
    const audience = this.#byPrefix.get(prefix);
    if (audience === undefined) return;
    if (audience.whole.size > 0) wanting.push(audience.whole);
    for (const [topicsOf, topics] of audience.byTopic) {
      for (const topic of topicsOf(event)) {
        const watchers = topics.get(topic);
        if (watchers !== undefined) wanting.push(watchers);
      }
    }
  }

  #countOdd(length: number, change: number): void {
    const count = (this.#oddLengths.get(length) ?? 0) + change;
    if (count === 0) this.#oddLengths.delete(length);
    else this.#oddLengths.set(length, count);
  }
}

function isFolder(prefix: string): boolean {
  return prefix.endsWith('/');
}

function ensure<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
