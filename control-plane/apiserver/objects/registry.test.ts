import { expect, it } from 'vitest';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store, UpdateResult } from '#control-plane/store/store.ts';
import { Registry } from './registry.ts';

const configMaps = builtIn('', 'v1', 'configmaps');
const named = (name: string, uid: string) => ({ metadata: { namespace: 'n', name, uid } });

/** A store that writes, loses the answer, and decides again on what is there then, as the engine over etcd. */
function forgetful(): Store {
  const store = createFakeStore();
  const update = store.update.bind(store);
  return Object.assign(store, {
    update: async (...given: Parameters<Store['update']>): Promise<UpdateResult> => {
      await update(...given);
      return update(...given);
    },
  });
}

it('what was made is told as made, though the answer to that was lost', async () => {
  const registry = new Registry(forgetful(), () => 0);
  const created = await registry.create(configMaps, named('a', 'first'));
  expect(created).toMatchObject({ outcome: 'created', entry: { value: { version: 1 } } });
  expect(await registry.create(configMaps, named('a', 'second'))).toEqual({ outcome: 'nameTaken' });
});

it('what is to hold besides is asked when an object is written, and nothing is written where it does not', async () => {
  const registry = new Registry(createFakeStore(), () => 0);
  await registry.create(configMaps, named('other', 'o'));
  const other = await registry.read(configMaps, 'n', 'other');
  if (other === undefined) throw new Error('not there');
  const beside = registry.replacing(configMaps, other, { ...other.object, data: { count: '1' } });
  const made = await registry.create(configMaps, named('a', 'a'), { beside });
  const changed = await registry.read(configMaps, 'n', 'other');
  expect(changed?.object['data']).toEqual({ count: '1' });
  expect(made).toMatchObject({ entry: { value: { modRevision: changed?.value.modRevision } } });
  expect(await registry.create(configMaps, named('b', 'b'), { beside })).toEqual({ outcome: 'late' });
  const condition = { revision: changed?.value.createRevision ?? 0, beside };
  const decide = () => ({ write: 'remove', object: {} }) as const;
  const where = { namespace: 'n', name: 'a', condition };
  expect(await registry.changeIf(configMaps, where, decide)).toBeUndefined();
  expect(await registry.readAll(configMaps, 'n')).toHaveLength(2);
});
