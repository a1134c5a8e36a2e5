import { beforeEach, describe, expect, it } from 'vitest';
import { at, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { createObject } from './create.ts';
import { deleteObject, plainDelete } from './delete.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { updateObject, type UpdateInput } from './update.ts';

const kind = builtIn('', 'v1', 'configmaps');
const user = { name: 'alice', groups: [] };
const where = { kind, namespace: 'n', name: 'c' };
const own = { ...where, dryRun: false, admittedAs: undefined };
const asked = { ...where, dryRun: false, admittedAs: { user, verb: 'update', subresource: '' } } as const;

const setData =
  (key: string, value: string) =>
  (object: JsonObject): JsonObject =>
    withPath(object, ['data', key], value);

const update = async (context: ServerContext, input: UpdateInput): Promise<JsonObject> =>
  (await updateObject(context, input)).object;

/** A plugin that waits, and lets somebody else write meanwhile as often as it is told. */
class Slow {
  readonly seen: string[] = [];
  othersWrite = 0;
  held = 0;
  context: ServerContext | undefined;

  readonly plugin: AdmissionPlugin = {
    name: 'Slow',
    handles: ({ user: { name } }) => (name === 'alice' ? 'mayWait' : 'no'),
    admit: async (_context, { attributes, object, old }) => {
      this.seen.push(`admit ${attributes.operation} of ${dataOf(old)}`);
      if (this.context !== undefined && this.othersWrite-- > 0) {
        await updateObject(this.context, { ...own, change: setData('other', String(this.othersWrite)) });
      }
      return object === undefined ? undefined : setData('slow', String(this.seen.length))(object);
    },
    validate: async (_context, request) => {
      this.seen.push(`validate ${dataOf(request.object)}`);
      this.held++;
      return { [Symbol.dispose]: () => void this.held-- };
    },
  };
}

function dataOf(object: AdmissionRequest['object']): string {
  return object === undefined ? 'nothing' : JSON.stringify(at(object, 'data') ?? {});
}

describe('a write that waits for admission', () => {
  let slow: Slow;
  let context: ServerContext;
  beforeEach(async () => {
    slow = new Slow();
    context = await contextWith([slow.plugin]);
    slow.context = context;
    await context.registry.create(kind, { metadata: { name: 'c', namespace: 'n', uid: 'u' } });
  });

  it('stores what admission left, and frees what was held', async () => {
    const object = await update(context, { ...asked, change: setData('mine', 'x') });
    expect(object['data']).toEqual({ mine: 'x', slow: '1' });
    expect(slow.seen).toEqual(['admit update of {}', 'validate {"mine":"x","slow":"1"}']);
    expect(slow.held).toBe(0);
  });

  it('begins again with the newer object when somebody was first', async () => {
    slow.othersWrite = 2;
    const object = await update(context, { ...asked, change: setData('mine', 'x') });
    // Its own work of the lost tries is not in what the last one saw.
    expect(object['data']).toEqual({ other: '0', mine: 'x', slow: '5' });
    expect(slow.seen.filter((line) => line.startsWith('admit'))).toEqual([
      'admit update of {}',
      'admit update of {"other":"1"}',
      'admit update of {"other":"0"}',
    ]);
    expect(slow.held).toBe(0);
  });

  it('is refused when somebody is always first', async () => {
    slow.othersWrite = 100;
    await expect(update(context, { ...asked, change: setData('mine', 'x') })).rejects.toThrow(
      'the object has been modified',
    );
    expect(slow.othersWrite).toBe(100 - 16);
    expect(slow.held).toBe(0);
  });

  it('is refused at once where it names the revision that is gone', async () => {
    slow.othersWrite = 1;
    const { object: before } = (await context.registry.read(kind, 'n', 'c')) ?? {};
    const resourceVersion = stringOf(at(before, 'metadata.resourceVersion'));
    const change = (current: JsonObject): JsonObject =>
      withPath(current, 'metadata.resourceVersion', resourceVersion);
    await expect(update(context, { ...asked, change })).rejects.toThrow('the object has been modified');
    expect(slow.seen).toHaveLength(2);
  });

  it('deletes what admission saw', async () => {
    slow.othersWrite = 1;
    const deletion = await deleteObject(context, { ...where, options: plainDelete, user });
    expect(deletion.isGone).toBe(true);
    expect(slow.seen).toEqual([
      'admit delete of {}',
      'validate nothing',
      'admit delete of {"other":"0"}',
      'validate nothing',
    ]);
    expect(slow.held).toBe(0);
  });

  it('finds nothing where nothing is', async () => {
    const missing = { ...asked, name: 'd', change: setData('mine', 'x') };
    await expect(update(context, missing)).rejects.toThrow('configmaps "d" not found');
    expect(slow.seen).toEqual([]);
  });

  it('creates, with a generated name that is taken as little as with any', async () => {
    const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { generateName: 'g-' } };
    const made = await createObject(context, { ...where, object, user, dryRun: false });
    expect(stringOf(at(made.object, 'metadata.name'))).toMatch(/^g-.{5}$/);
    expect(slow.seen).toEqual(['admit create of nothing', 'validate {"slow":"1"}']);
    expect(slow.held).toBe(0);
  });
});

describe('a write for which nobody waits', () => {
  it('is decided in the turns of all who write the object, and sees each what the one before left', async () => {
    const olds: string[] = [];
    const plugin: AdmissionPlugin = {
      name: 'Quick',
      handles: () => 'atOnce',
      admit: (_context, { old }) => void olds.push(dataOf(old)),
    };
    const context = await contextWith([plugin]);
    await context.registry.create(kind, { metadata: { name: 'c', namespace: 'n', uid: 'u' } });
    const change = (current: JsonObject): JsonObject =>
      setData('n', String(Number(stringOf(at(current, 'data.n'))) + 1))(current);
    await Promise.all([1, 2, 3].map(() => update(context, { ...asked, change })));
    expect(olds).toEqual(['{}', '{"n":"1"}', '{"n":"2"}']);
  });

  it('does not take a plugin at its word that says it does not wait, and waits', async () => {
    const plugin: AdmissionPlugin = { name: 'Liar', handles: () => 'atOnce', admit: async () => undefined };
    const context = await contextWith([plugin]);
    await context.registry.create(kind, { metadata: { name: 'c', namespace: 'n', uid: 'u' } });
    await expect(update(context, { ...asked, change: setData('n', '1') })).rejects.toThrow('Liar waits');
  });
});

describe('a write by another view of the object', () => {
  it.each(['atOnce', 'mayWait'] as const)('is admitted as that view (%s)', async (handling) => {
    const seen: unknown[] = [];
    const view = {
      of: (object: JsonObject): JsonObject => ({ size: at(object, 'data.size') ?? '0' }),
      into: (object: JsonObject, { size }: JsonObject): JsonObject => withPath(object, 'data.size', size),
    };
    const plugin: AdmissionPlugin = {
      name: 'Doubler',
      handles: () => handling,
      admit: (_context, { object = {}, old }) => {
        seen.push(old, object);
        return { size: String(2 * Number(object['size'])) };
      },
      validate: (_context, { object }) => void seen.push(object),
    };
    const context = await contextWith([plugin]);
    await context.registry.create(kind, { metadata: { name: 'c', namespace: 'n', uid: 'u' } });
    const object = await update(context, { ...asked, view, change: setData('size', '2') });
    expect(object['data']).toEqual({ size: '4' });
    expect(seen).toEqual([{ size: '0' }, { size: '2' }, { size: '4' }]);
  });
});
