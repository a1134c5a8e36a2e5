import { describe, expect, it } from 'vitest';
import { at, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { PodwrightError } from '#base/errors.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store } from '#control-plane/store/store.ts';
import { createObject } from './create.ts';
import { manageWrite } from './owners.ts';
import { updateObject } from './update.ts';

const configMaps = builtIn('', 'v1', 'configmaps');
const user = { name: 'alice', groups: [] };

/** One that takes no value longer than that, as etcd does. */
function storeWithin(bytesMax: number): Store {
  const inner = createFakeStore();
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name !== 'update') return typeof member === 'function' ? member.bind(target) : member;
      const update: Store['update'] = (key, decide) =>
        target.update(key, (current, read) => {
          const change = decide(current, read);
          for (const op of change?.ops ?? [])
            if (op.op === 'put' && op.value.byteLength > bytesMax)
              throw new PodwrightError('E_LIMIT', 'etcdserver: request is too large');
          return change;
        });
      return update;
    },
  });
}

const data = Object.fromEntries(Array.from({ length: 20 }, (_each, index) => [`key-${index}`, 'v']));
const object: JsonObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', namespace: 'n' },
  data,
};
const place = { kind: configMaps, namespace: 'n', dryRun: false };

describe('a write that is too large for the store with who owns what', () => {
  it.each<{ readonly bytesMax: number; readonly hasOwners: boolean }>([
    { bytesMax: 2000, hasOwners: true },
    { bytesMax: 700, hasOwners: false },
  ])(
    'is done once more without, where at most $bytesMax bytes are taken',
    async ({ bytesMax, hasOwners }) => {
      const context = await contextWith([], storeWithin(bytesMax));
      const made = await createObject(context, { ...place, object, user, manager: 'm' });
      expect(at(made.object, 'metadata.managedFields') !== undefined).toBe(hasOwners);
      const changed = await updateObject(context, {
        ...{ ...place, name: 'c', admittedAs: { user, verb: 'update', subresource: '' } },
        change: (current) => withPath(current, 'data.key-0', 'w'),
        own: (live, next) =>
          manageWrite(context, { kind: configMaps, manager: 'n' }, { live: { ...live }, next }),
      });
      expect(at(changed.object, ['data', 'key-0'])).toBe('w');
      expect(at(changed.object, 'metadata.managedFields') !== undefined).toBe(hasOwners);
    },
  );

  it('is refused where it is an application, or too large without', async () => {
    const context = await contextWith([], storeWithin(700));
    const managedFields = [
      { manager: 'a', operation: 'Apply', fieldsV1: { 'f:data': { [`f:${'x'.repeat(900)}`]: {} } } },
    ];
    const applied = withPath(object, 'metadata.managedFields', managedFields);
    await expect(createObject(context, { ...place, object: applied, user })).rejects.toThrow('too large');
    const large = withPath(object, 'data.large', 'x'.repeat(900));
    await expect(createObject(context, { ...place, object: large, user, manager: 'm' })).rejects.toThrow(
      'too large',
    );
  });
});
