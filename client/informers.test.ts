import { expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { configMaps } from '#api/schema/kind-ref.ts';
import type { ConfigMap } from '#api/generated/objects.ts';
import { createFakeApiClient } from './client.fake.ts';
import { createInformers, withoutManagedFields } from './informers.ts';

/** A generator of numbers that a test can repeat (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function settle(clock: FakeClock): Promise<void> {
  for (let turn = 0; turn < 60; turn++) {
    clock.advance(500);
    for (let micro = 0; micro < 20; micro++) await Promise.resolve();
  }
}

it.each([1, 2, 3, 4, 5])(
  'informer equals the server while watches break and history goes (seed %i)',
  async (seed) => {
    const random = seeded(seed);
    const clock = createFakeClock();
    const client = createFakeApiClient(clock);
    await using informers = createInformers({ client, clock, random });
    const informer = informers.for(configMaps, { indexes: { half: (map) => [map.data?.['half'] ?? ''] } });
    const told = new Map<string, ConfigMap>();
    informer.onChange(({ key, old, current }) => {
      expect(told.get(key)?.metadata?.uid).toBe(old?.metadata?.uid);
      if (current === undefined) told.delete(key);
      else told.set(key, current);
    });
    for (let step = 0; step < 300; step++) {
      const name = `m${Math.floor(random() * 12)}`;
      const where = { namespace: 'default', name };
      const dice = random();
      const data = { half: random() < 0.5 ? 'a' : 'b', step: String(step) };
      if (dice < 0.5) {
        const write = client.all(configMaps).some((map) => map.metadata?.name === name)
          ? client.update(configMaps, { metadata: where, data })
          : client.create(configMaps, { metadata: where, data });
        const written = await write;
        if (random() < 0.5) informer.observe(written);
      } else if (dice < 0.75) await client.delete(configMaps, where).catch(() => undefined);
      else if (dice < 0.85) client.endWatches(random() < 0.5 ? new Error('broken') : undefined);
      else if (dice < 0.9) client.compact();
      else clock.advance(random() * 300);
      if (random() < 0.3) for (let micro = 0; micro < 30; micro++) await Promise.resolve();
    }
    await settle(clock);
    const wanted = client.all(configMaps).map((map) => [map.metadata?.name, map.data]);
    const byName = (a: readonly unknown[], b: readonly unknown[]): number =>
      String(a[0]) < String(b[0]) ? -1 : 1;
    const rows = (maps: Iterable<ConfigMap>): unknown[][] =>
      [...maps].map((map) => [map.metadata?.name, map.data]).toSorted(byName);
    expect(rows(informer.list())).toEqual(wanted.toSorted(byName));
    expect(rows(told.values())).toEqual(wanted.toSorted(byName));
    const halves = [...informer.byIndex('half', 'a'), ...informer.byIndex('half', 'b')];
    expect(rows(halves)).toEqual(wanted.toSorted(byName));
  },
);

it('informer ignores an observed object that has been deleted since', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  await using informers = createInformers({ client, clock });
  const informer = informers.for(configMaps);
  await settle(clock);
  const made = await client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } });
  await client.delete(configMaps, { name: 'a', namespace: 'default' });
  await settle(clock);
  informer.observe(made);
  expect(informer.list()).toEqual([]);
});

it('keeps of objects what transforms leave, the first for all kinds and the second for one', async () => {
  const client = createFakeApiClient(createFakeClock());
  const managedFields = [{ manager: 'm' }];
  client.seed(configMaps, {
    metadata: { namespace: 'n', name: 'm', managedFields },
    data: { large: 'x', small: 'y' },
  });
  await using informers = createInformers({
    client,
    clock: createFakeClock(),
    transform: withoutManagedFields,
  });
  const withoutLarge = (map: ConfigMap): ConfigMap => ({
    ...map,
    data: { small: map.data?.['small'] ?? '' },
  });
  const informer = informers.for(configMaps, { transform: withoutLarge });
  await informer.synced;
  expect(informer.get('n/m')).toMatchObject({ metadata: { name: 'm' }, data: { small: 'y' } });
  expect(informer.get('n/m')?.metadata?.managedFields).toBeUndefined();
  expect(informers.for(configMaps)).toBe(informer);
  expect(() => informers.for(configMaps, { transform: (map) => map })).toThrow(/keeps something else/);
});

it('an object that a transform throws on stays whole', async () => {
  const client = createFakeApiClient(createFakeClock());
  client.seed(configMaps, { metadata: { namespace: 'n', name: 'm' }, data: { a: '1' } });
  await using informers = createInformers({ client, clock: createFakeClock() });
  const informer = informers.for(configMaps, {
    transform: () => {
      throw new Error('no');
    },
  });
  await informer.synced;
  expect(informer.get('n/m')?.data).toEqual({ a: '1' });
});
