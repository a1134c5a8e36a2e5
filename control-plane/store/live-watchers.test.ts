import { describe, expect, it } from 'vitest';
import { LiveWatchers } from './live-watchers.ts';
import type { StoreEvent, WatchInterest } from './store.ts';

interface Watcher {
  readonly id: string;
  readonly prefix: string;
  readonly interest: WatchInterest | undefined;
}

function eventOf(key: string): StoreEvent {
  const current = {
    ...{ key, value: new Uint8Array(), createRevision: 1, modRevision: 1, version: 1, lease: 0 },
  };
  return { type: 'put', key, current, previous: undefined };
}

/** Topics are the words of the key; how often they are asked for is counted. */
function countingTopics(): { readonly topicsOf: WatchInterest['topicsOf']; asked: number } {
  const counting = {
    asked: 0,
    topicsOf: ({ key }: StoreEvent) => {
      counting.asked++;
      return [...new Set(key.split(/[/.]/))];
    },
  };
  return counting;
}

describe('LiveWatchers', () => {
  const idsOf = (live: LiveWatchers<Watcher>, key: string): readonly string[] =>
    live
      .wanting(eventOf(key))
      .flatMap((watchers) => [...watchers].map(({ id }) => id))
      .toSorted();

  it.each([
    ['', ['all', 'odd', 'pods', 'pods/a', 'root', 'whole key'], '/r/pods/a/x'],
    ['another namespace', ['all', 'odd', 'pods', 'root'], '/r/pods/b/x'],
    [
      'a key that is a prefix of another',
      ['all', 'odd', 'pods', 'pods/a', 'root', 'whole key'],
      '/r/pods/a/xy',
    ],
    ['another folder with the same beginning', ['all', 'odd', 'root'], '/r/podsets/a/x'],
    ['a shorter key', ['all', 'root'], '/r/p'],
  ])('finds those whose prefix it is%s', (_name, want, key) => {
    const live = new LiveWatchers<Watcher>();
    const prefixes = {
      all: '',
      root: '/r/',
      pods: '/r/pods/',
      'pods/a': '/r/pods/a/',
      odd: '/r/pod',
      'whole key': '/r/pods/a/x',
    };
    for (const [id, prefix] of Object.entries(prefixes)) live.add({ id, prefix, interest: undefined });
    expect(idsOf(live, key)).toEqual(want);
  });

  it('asks what an event is about once, however many want something else, and looks at none of these', () => {
    for (const count of [1, 5000]) {
      const live = new LiveWatchers<Watcher>();
      const { topicsOf } = countingTopics();
      const topics = countingTopics();
      for (let at = 0; at < count; at++)
        live.add({ id: `w${at}`, prefix: '/r/', interest: { topicsOf: topics.topicsOf, topic: `n${at}` } });
      live.add({ id: 'other source', prefix: '/r/', interest: { topicsOf, topic: 'x' } });
      expect(idsOf(live, '/r/n0.x')).toEqual(['other source', 'w0']);
      expect(topics.asked).toBe(1);
      expect(live.wanting(eventOf('/q/n0'))).toEqual([]);
      expect(topics.asked).toBe(1);
    }
  });

  it('forgets a watcher that went, and keeps nothing of it', () => {
    const live = new LiveWatchers<Watcher>();
    const { topicsOf } = countingTopics();
    const watchers: readonly Watcher[] = ['/r/', '/r/p', ''].flatMap((prefix, at) => [
      { id: `whole ${at}`, prefix, interest: undefined },
      { id: `x ${at}`, prefix, interest: { topicsOf, topic: 'x' } },
    ]);
    for (const watcher of watchers) live.add(watcher);
    expect(live.all()).toHaveLength(6);
    for (const [gone, watcher] of watchers.entries()) {
      live.delete(watcher);
      live.delete(watcher);
      expect(live.all()).toHaveLength(5 - gone);
    }
    expect(live.wanting(eventOf('/r/p/x'))).toEqual([]);
  });
});
