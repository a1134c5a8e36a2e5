import { describe, expect, it } from 'vitest';
import { at, withPath } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { particularKinds } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { createFakeClock } from '#base/clock.ts';
import { createTurns } from '#base/turns.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import { nothingStored } from './chain/admission/admission.fixture.ts';
import { nodeRestriction } from './chain/admission/node-restriction.ts';
import { defaultPlugins } from './chain/admission/plugins.ts';
import { builtIn } from './built-in.ts';
import { createObject } from './verbs/create.ts';
import { deleteObject, plainDelete } from './verbs/delete.ts';
import { Registry } from './objects/registry.ts';
import type { ServerContext } from './server-context.ts';
import { ServiceAllocators } from './services/allocators.ts';
import { keyPrefix } from './objects/storage-key.ts';
import { updateObject } from './verbs/update.ts';
import { answeredKinds, isVirtual } from './verbs/virtual.ts';

const namespaces = builtIn('', 'v1', 'namespaces');
const user = { name: 'system:node:a', groups: ['system:nodes'] };
const namespace = 'kube-node-lease';

/** As much of a server as stores objects. */
async function contextOfFakes(): Promise<ServerContext> {
  const clock = createFakeClock();
  const registry = new Registry(createFakeStore(), () => clock.now());
  const allocators = new ServiceAllocators(['10.0.0.0/24']);
  await registry.create(namespaces, { metadata: { name: namespace } });
  return {
    registry,
    clock,
    allocators,
    quotaTurns: createTurns(),
    admission: defaultPlugins(),
    ...nothingStored,
    metrics: { count: () => undefined, measure: () => undefined, series: () => ({ add: () => undefined }) },
  } as unknown as ServerContext;
}

function custom(kind: string): Kind {
  const singular = kind.toLowerCase();
  const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  return {
    ...{
      group: 'example.com',
      version: 'v1',
      kind,
      singular,
      resource: `${singular}s`,
      schema: builtInTypes,
      typeName: '',
    },
    ...{ shortNames: [], categories: [], namespaced: true, verbs, subresources: [] },
  };
}

/** The life of an object: what each write answers with, and what it leaves in the store. */
async function lifeOf(kind: Kind): Promise<string> {
  const context = await contextOfFakes();
  const metadata = { name: 'default', finalizers: ['example.com/x'] };
  const spec = {
    type: 'NodePort',
    ports: [{ port: 80 }],
    nodeName: 'b',
    finalizers: ['kubernetes'],
    username: 'x',
  };
  const object: JsonObject = { apiVersion: 'example.com/v1', kind: kind.kind, metadata, spec };
  const where = { kind, namespace, name: 'default' };
  const asked = { dryRun: false, admittedAs: { user, verb: 'update', subresource: '' } } as const;
  const lives: unknown[] = [];

  const made = await createObject(context, { ...where, object, user, dryRun: false });
  lives.push(
    made.object,
    (await context.registry.store.range('/registry/example.com/')).values.map(({ key }) => key),
  );
  const change = (current: JsonObject): JsonObject => withPath(current, 'spec.type', 'ClusterIP');
  lives.push((await updateObject(context, { ...where, ...asked, change })).object);
  lives.push(await deleteObject(context, { ...where, options: plainDelete, user }));
  const release = (current: JsonObject): JsonObject => withPath(current, 'metadata.finalizers', undefined);
  lives.push((await updateObject(context, { ...where, ...asked, change: release })).object);
  lives.push((await context.registry.read(kind, namespace, 'default'))?.object ?? 'gone');
  return JSON.stringify(lives)
    .replaceAll(String(at(made.object, 'metadata.uid')), 'UID')
    .replaceAll(`"${kind.kind}"`, '"KIND"')
    .replaceAll(`/${kind.resource}/`, '/PLURAL/');
}

const names = [...new Set([...particularKinds.keys()].map((key) => key.split('/')[1] ?? ''))];

describe('a custom kind', () => {
  it.each(names)('that is called %s lives as any', async (name) => {
    expect(await lifeOf(custom(name))).toBe(await lifeOf(custom('Widget')));
  });

  it.each(names)(
    'that is called %s is stored, at a place of its own, and no node is kept from it',
    (name) => {
      const kind = custom(name);
      expect(isVirtual(kind)).toBe(false);
      expect(keyPrefix(kind, 'n')).toBe(`/registry/example.com/${kind.resource}/n/`);
      const write = { operation: 'update', verb: 'update', kind, subresource: '', namespace } as const;
      expect(nodeRestriction.handles({ ...write, name: 'other', user, dryRun: false }, nothingStored)).toBe(
        'no',
      );
    },
  );
});

describe('isVirtual()', () => {
  it('is true of exactly the kinds that are answered', () => {
    const virtual = [...particularKinds].flatMap(([key, { isStored }]) => (isStored === false ? [key] : []));
    expect(answeredKinds.toSorted()).toEqual(virtual.toSorted());
  });
});
