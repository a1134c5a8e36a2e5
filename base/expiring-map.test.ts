import { describe, expect, it } from 'vitest';
import { ExpiringMap } from './expiring-map.ts';

describe('ExpiringMap', () => {
  it('gives what was put in until its time is over', () => {
    const map = new ExpiringMap<string, number>(10);
    map.set('a', 1, { ttlMs: 100, nowMs: 0 });
    expect(map.get('a', 99)).toBe(1);
    expect(map.get('a', 100)).toBeUndefined();
    expect(map.size).toBe(0);
  });

  it('keeps nothing that is to live no time', () => {
    const map = new ExpiringMap<string, number>(10);
    map.set('a', 1, { ttlMs: 100, nowMs: 0 });
    map.set('a', 2, { ttlMs: 0, nowMs: 0 });
    expect(map.get('a', 0)).toBeUndefined();
  });

  it('forgets what was not asked for longest', () => {
    const map = new ExpiringMap<string, number>(2);
    const put = (key: string): void => map.set(key, 1, { ttlMs: 100, nowMs: 0 });
    put('a');
    put('b');
    map.get('a', 1);
    put('c');
    expect(['a', 'b', 'c'].filter((key) => map.get(key, 1) !== undefined)).toEqual(['a', 'c']);
    map.clear();
    expect(map.size).toBe(0);
  });
});
