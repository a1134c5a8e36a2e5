import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { at, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { createObject, type Written } from '#control-plane/apiserver/verbs/create.ts';
import { deleteObject, plainDelete } from '#control-plane/apiserver/verbs/delete.ts';
import { updateObject } from '#control-plane/apiserver/verbs/update.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { noEtcd, startEtcd, type EtcdServers } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { openEtcdStore } from '#control-plane/store/etcd/etcd-store.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store } from '#control-plane/store/store.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { resourceQuota } from './resource-quota.ts';

const user = { name: 'alice', groups: [] };
const [quotas, configMaps, pods, services, claims] = (
  ['resourcequotas', 'configmaps', 'pods', 'services', 'persistentvolumeclaims'] as const
).map((plural) => builtIn('', 'v1', plural)) as [Kind, Kind, Kind, Kind, Kind];

/** Two servers on one store; each test has a namespace of its own. */
interface Pair extends AsyncDisposable {
  readonly servers: readonly [ServerContext, ServerContext];
}

async function pairOn(stores: readonly [Store, Store]): Promise<Pair> {
  const [one, other] = stores;
  const servers = [
    await contextWith([resourceQuota()], one),
    await contextWith([resourceQuota()], other),
  ] as const;
  return {
    servers,
    [Symbol.asyncDispose]: async () => {
      for (const store of new Set(stores)) await store[Symbol.asyncDispose]();
    },
  };
}

const directory = scratchDirectory('podwright-quota-');
let etcd: EtcdServers | undefined;
let stores = 0;
const engines: readonly {
  readonly engine: string;
  readonly open: () => Promise<Pair>;
  readonly skip: boolean;
}[] = [
  {
    engine: 'the fake',
    skip: false,
    open: async () => {
      const store = createFakeStore();
      return pairOn([store, store]);
    },
  },
  {
    engine: 'the embedded engine',
    skip: false,
    open: async () => {
      const own = join(directory, String(stores++));
      const store = await openEmbeddedStore({ directory: own, clock: systemClock });
      return pairOn([store, store]);
    },
  },
  {
    engine: `etcd ${noEtcd}`,
    skip: noEtcd !== '',
    open: async () => {
      const options = { endpoints: etcd?.urls ?? [], clock: systemClock, prefix: `/registry/` };
      return pairOn([await openEtcdStore(options), await openEtcdStore(options)]);
    },
  },
];
beforeAll(async () => {
  if (noEtcd === '') etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.[Symbol.asyncDispose]();
});

function post(
  context: ServerContext,
  kind: Kind,
  object: JsonObject,
  { namespace, dryRun = false }: { readonly namespace: string; readonly dryRun?: boolean },
): Promise<Written> {
  const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
  return createObject(context, {
    ...{ kind, namespace, user, dryRun },
    object: { apiVersion, kind: kind.kind, ...object },
  });
}

function put(
  context: ServerContext,
  kind: Kind,
  where: { readonly namespace: string; readonly name: string; readonly subresource?: string },
  change: (object: JsonObject) => JsonObject,
): Promise<Written> {
  const { subresource } = where;
  return updateObject(context, {
    ...{ ...where, kind, subresource, dryRun: false, change },
    admittedAs: { user, verb: 'update', subresource: subresource ?? '' },
  });
}

async function setQuota(context: ServerContext, namespace: string, hard: JsonObject): Promise<void> {
  await post(context, quotas, { metadata: { name: 'q' }, spec: { hard } }, { namespace });
}

async function quotaOf(
  context: ServerContext,
  namespace: string,
): Promise<{ used: unknown; revision: number }> {
  const entry = await context.registry.read(quotas, namespace, 'q');
  return { used: at(entry?.object, 'status.used'), revision: entry?.value.modRevision ?? 0 };
}

/** How many were done, and the messages of the others without what differs among them. */
async function outcomes(all: readonly Promise<unknown>[]): Promise<{ done: number; refused: Set<string> }> {
  const settled = await Promise.allSettled(all);
  const refused = settled.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.message)] : []));
  return {
    done: settled.length - refused.length,
    refused: new Set(refused.map((text) => text.replace(/"[^"]+"/, 'X'))),
  };
}

const named = (name: string): JsonObject => ({ metadata: { name } });

const pod = (name: string, cpu: string): JsonObject => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] },
});

const rows = [
  { what: 'ConfigMaps', kind: configMaps, hard: { configmaps: '50' }, make: named, used: '50' },
  {
    what: 'what pods request',
    kind: pods,
    hard: { 'requests.cpu': '5' },
    make: (name: string) => pod(name, '100m'),
    used: '5',
  },
  {
    what: 'objects of a custom kind',
    kind: widgets,
    hard: { 'count/widgets.example.com': '50' },
    make: (name: string) => ({ ...named(name), spec: { color: 'red' } }),
    used: '50',
  },
];

for (const { engine, open, skip } of engines) {
  describe.skipIf(skip)(`a quota, of two servers on ${engine}`, () => {
    it.each(rows)('lets in as many as it has room for: $what', async ({ kind, hard, make, used }) => {
      await using pair = await open();
      const { servers } = pair;

      const namespace = `n-${kind.resource}`;
      await setQuota(servers[0], namespace, hard);
      const all = Array.from({ length: 200 }, (_, index) =>
        post(servers[index % 2 === 0 ? 0 : 1], kind, make(`o-${index}`), { namespace }),
      );
      const { done, refused } = await outcomes(all);
      const [name = ''] = Object.keys(hard);
      const limit = `used: ${name}=${used}, limited: ${name}=${used}`;
      expect([...refused].filter((text) => !text.endsWith(limit))).toEqual([]);
      expect(done).toBe(50);
      expect(await servers[1].registry.readAll(kind, namespace)).toHaveLength(50);
      expect((await quotaOf(servers[1], namespace)).used).toEqual({ [name]: used });
    });

    it('is never passed while objects come and go, and shows no more than there are when all is over', async () => {
      await using pair = await open();
      const { servers } = pair;

      const namespace = 'n-come-and-go';
      await setQuota(servers[0], namespace, { configmaps: '5' });
      const present = new Set<string>();
      let most = 0;
      const prefix = servers[0].registry.prefixOf(configMaps, namespace);
      const { store } = servers[0].registry;
      using _watch = store.watch(prefix, store.revision, (events) => {
        for (const { type, key } of events) {
          if (type === 'put') present.add(key);
          else present.delete(key);
          most = Math.max(most, present.size);
        }
      });
      const one = async (index: number): Promise<void> => {
        const [maker, remover] = index % 2 === 0 ? servers : [servers[1], servers[0]];
        const own: string[] = [];
        const removeOldest = async (): Promise<void> => {
          const name = own.shift();
          if (name === undefined) return;
          await deleteObject(remover, { kind: configMaps, namespace, name, options: plainDelete, user });
        };
        for (let round = 0; round < 10; round++) {
          const name = `o-${index}-${round}`;
          const { done } = await outcomes([post(maker, configMaps, named(name), { namespace })]);
          if (done === 1) own.push(name);
          if (done === 0 || own.length > 1) await removeOldest();
        }
        while (own.length > 0) await removeOldest();
      };
      await Promise.all(Array.from({ length: 10 }, (_, index) => one(index)));
      expect(most).toBe(5);
      await post(servers[0], configMaps, named('last'), { namespace });
      expect((await quotaOf(servers[1], namespace)).used).toEqual({ configmaps: '1' });
    });

    it('says what is used in the very write of the object, and nothing of what was not written', async () => {
      await using pair = await open();
      const [one, other] = pair.servers;

      const namespace = 'n-status';
      await setQuota(one, namespace, { configmaps: '2', secrets: '7' });
      const made = await post(one, configMaps, named('a'), { namespace });
      const quota = await quotaOf(other, namespace);
      expect(quota).toEqual({ used: { configmaps: '1' }, revision: made.entry?.value.modRevision });
      await expect(post(other, configMaps, named('a'), { namespace })).rejects.toThrow('already exists');
      await post(other, configMaps, named('b'), { namespace, dryRun: true });
      expect(await quotaOf(one, namespace)).toEqual(quota);
      await post(other, configMaps, { metadata: { generateName: 'g-' } }, { namespace });
      await expect(post(one, configMaps, named('c'), { namespace, dryRun: true })).rejects.toThrow(
        'exceeded quota',
      );
      expect((await quotaOf(one, namespace)).used).toEqual({ configmaps: '2' });
    });

    it('holds for what updates take', async () => {
      await using pair = await open();
      const { servers } = pair;

      const namespace = 'n-grow';
      const indexes = Array.from({ length: 12 }, (_, index) => index);
      const storage = (size: string): JsonObject => ({ requests: { storage: size } });
      for (const index of indexes) {
        const name = `o-${index}`;
        await post(servers[0], services, { ...named(name), spec: { ports: [{ port: 80 }] } }, { namespace });
        await post(servers[0], pods, pod(name, '100m'), { namespace });
        const spec = { accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem', resources: storage('1Gi') };
        const claim = { metadata: { name, namespace, uid: name }, spec, status: { phase: 'Bound' } };
        await servers[0].registry.create(claims, claim);
      }
      // Room for five more of each.
      const hard = { 'services.nodeports': '5', 'requests.cpu': '1700m', 'requests.storage': '17Gi' };
      await setQuota(servers[0], namespace, hard);
      const grow = (kind: Kind, subresource: string, change: (object: JsonObject) => JsonObject) =>
        outcomes(
          indexes.map((index) =>
            put(
              servers[index % 2 === 0 ? 0 : 1],
              kind,
              { namespace, name: `o-${index}`, ...(subresource === '' ? {} : { subresource }) },
              change,
            ),
          ),
        );
      const [ofServices, ofPods, ofClaims] = await Promise.all([
        grow(services, '', (service) => withPath(service, 'spec.type', 'NodePort')),
        grow(pods, 'resize', (object) =>
          withPath(object, 'spec.containers', [
            { name: 'c', image: 'i', resources: { requests: { cpu: '200m' } } },
          ]),
        ),
        grow(claims, '', (claim) => withPath(claim, 'spec.resources', storage('2Gi'))),
      ]);
      expect([ofServices, ofPods, ofClaims].map(({ done }) => done)).toEqual([5, 5, 5]);
      expect((await quotaOf(servers[1], namespace)).used).toEqual(hard);
      // What takes no more goes on.
      const label = (object: JsonObject): JsonObject => withPath(object, 'metadata.labels', { a: 'b' });
      expect(await grow(services, '', label)).toMatchObject({ done: 12 });
    });
  });
}

describe('a quota', () => {
  it('costs a namespace without one the look for one, and an update that takes no more nothing', async () => {
    const store = createFakeStore();
    const context = await contextWith([resourceQuota()], store);
    const done: string[] = [];
    for (const call of ['get', 'range', 'update', 'commit'] as const) {
      const plain = store[call].bind(store) as (...given: unknown[]) => unknown;
      Object.assign(store, {
        [call]: (key: unknown, ...more: unknown[]) => {
          done.push(typeof key === 'string' ? `${call} ${key}` : call);
          return plain(key, ...more);
        },
      });
    }
    const service = { ...named('s'), spec: { ports: [{ port: 80 }] } };
    await post(context, services, service, { namespace: 'n' });
    const change = (object: JsonObject): JsonObject => withPath(object, 'spec.selector', { a: 'b' });
    await put(context, services, { namespace: 'n', name: 's' }, change);
    await deleteObject(context, { kind: services, namespace: 'n', name: 's', options: plainDelete, user });
    expect(done).toEqual([
      'range /registry/resourcequotas/n/',
      'update /registry/services/specs/n/s',
      'update /registry/services/specs/n/s',
      'update /registry/services/specs/n/s',
    ]);
    expect((await store.range('/registry/resourcequotas/')).values).toEqual([]);
  });

  it('that others change all the time is a conflict in the end, and nothing is written', async () => {
    let changes = 0;
    const others: AdmissionPlugin = {
      name: 'Others',
      handles: ({ kind }) => (kind === configMaps ? 'mayWait' : 'no'),
      validate: async () => {
        const change = (object: JsonObject): JsonObject =>
          withPath(object, 'metadata.labels', { n: String(changes++) });
        const where = { kind: quotas, namespace: 'n', name: 'q', dryRun: false };
        await updateObject(context, { ...where, admittedAs: undefined, change });
      },
    };
    const context: ServerContext = await contextWith([resourceQuota(), others]);
    await setQuota(context, 'n', { configmaps: '5' });
    const refused = await post(context, configMaps, named('a'), { namespace: 'n' }).catch(
      (error: unknown) => error,
    );
    expect(isPodwrightError(refused, 'E_API') && refused.detail).toMatchObject({
      httpCode: 409,
      reason: 'Conflict',
      status: {
        message:
          'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please apply your changes to the latest version and try again',
      },
    });
    expect(changes).toBe(100);
    expect(await context.registry.readAll(configMaps, 'n')).toEqual([]);
  });

  it('whose limits change while an object is let in is asked again', async () => {
    let isLowered = false;
    const others: AdmissionPlugin = {
      name: 'Others',
      handles: ({ kind }) => (kind === configMaps ? 'mayWait' : 'no'),
      validate: async () => {
        if (isLowered) return;
        isLowered = true;
        const change = (object: JsonObject): JsonObject => withPath(object, 'spec.hard', { configmaps: '0' });
        const where = { kind: quotas, namespace: 'n', name: 'q', dryRun: false };
        await updateObject(context, { ...where, admittedAs: undefined, change });
      },
    };
    const context: ServerContext = await contextWith([resourceQuota(), others]);
    await setQuota(context, 'n', { configmaps: '5' });
    await expect(post(context, configMaps, named('a'), { namespace: 'n' })).rejects.toThrow(
      'limited: configmaps=0',
    );
  });
});
