import { describe, expect, it } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { configMaps, deployments, namespaces, pods } from '#api/schema/kind-ref.ts';
import type { ConfigMap } from '#api/generated/objects.ts';
import { conflict } from '#api/errors/status.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { runController } from '#client/controller.ts';
import { createInformers } from '#client/informers.ts';
import { annotationsChanged, anyOf, generationChanged, labelsChanged, when } from './change-filter.ts';
import { keepFinalizer } from './finalizer.ts';
import { byControllerUid, controlledBy, controllerKey, withController } from './owned.ts';
import { runOperator } from './run-operator.ts';
import { retryOnConflict, updateAgain } from './update-again.ts';
import { writeStatus } from './write-status.ts';

const where = { namespace: 'n', name: 'm' };
const clientNow = () => createFakeApiClient(createFakeClock(Date.UTC(2026, 0, 1)));

describe('changes that matter', () => {
  const object = (generation: number, more: object = {}) => ({ metadata: { ...where, generation, ...more } });
  it.each([
    { name: 'it came', old: undefined, current: object(1), want: [true, true, true] },
    { name: 'it went', old: object(1), current: undefined, want: [true, true, true] },
    { name: 'its status', old: object(1), current: object(1), want: [false, false, false] },
    { name: 'its spec', old: object(1), current: object(2), want: [true, false, false] },
    {
      name: 'its deletion',
      old: object(1),
      current: object(1, { deletionTimestamp: 't' }),
      want: [true, false, false],
    },
    {
      name: 'a label',
      old: object(1),
      current: object(1, { labels: { a: '' } }),
      want: [false, true, false],
    },
    {
      name: 'an annotation',
      old: object(1),
      current: object(1, { annotations: { a: '' } }),
      want: [false, false, true],
    },
  ])('$name', ({ old, current, want }) => {
    const change = { key: 'n/m', old, current };
    const filters = [generationChanged, labelsChanged, annotationsChanged];
    expect(filters.map((filter) => filter(change))).toEqual(want);
    expect(anyOf(...filters)(change)).toBe(want.includes(true));
    expect([...when(generationChanged, () => ['k'])(change)]).toEqual(want[0] ? ['k'] : []);
  });
});

describe('owned objects', () => {
  const owner = { metadata: { namespace: 'n', name: 'd', uid: 'u1' } };

  it('carry their owner once, in its namespace', () => {
    const child = withController({ metadata: { name: 'c' } } as ConfigMap, owner, deployments);
    expect(child.metadata).toMatchObject({
      namespace: 'n',
      ownerReferences: [{ kind: 'Deployment', uid: 'u1', controller: true }],
    });
    expect(withController(child, owner, deployments).metadata?.ownerReferences).toHaveLength(1);
    expect(byControllerUid(child)).toEqual(['u1']);
  });

  it.each([
    { name: 'of the kind', apiVersion: 'apps/v1', kind: 'Deployment', want: 'n/d' },
    { name: 'of another version', apiVersion: 'apps/v1beta1', kind: 'Deployment', want: 'n/d' },
    { name: 'of another group', apiVersion: 'example.com/v1', kind: 'Deployment', want: undefined },
    { name: 'of another kind', apiVersion: 'apps/v1', kind: 'ReplicaSet', want: undefined },
  ])('know the key of a controller $name', ({ apiVersion, kind, want }) => {
    const ownerReferences = [{ apiVersion, kind, name: 'd', uid: 'u1', controller: true }];
    expect(controllerKey({ metadata: { ...where, ownerReferences } }, deployments)).toBe(want);
  });

  it('know that of a controller without a namespace', () => {
    const child = withController(
      { metadata: where } as ConfigMap,
      { metadata: { name: 'ns', uid: 'u' } },
      namespaces,
    );
    expect(controllerKey(child, namespaces)).toBe('ns');
  });

  it('wake the old owner and the new one', async () => {
    const client = clientNow();
    await using informers = createInformers({ client, clock: createFakeClock() });
    const informer = informers.for(configMaps);
    await informer.synced;
    const keys: string[] = [];
    using _attached = controlledBy(informer, deployments).attach((key) => keys.push(key));
    const made = await client.create(configMaps, withController({ metadata: where }, owner, deployments));
    informer.observe(made);
    const other = { metadata: { namespace: 'n', name: 'e', uid: 'u2' } };
    const bare = { ...made, metadata: { ...made.metadata, ownerReferences: [] } };
    informer.observe(await client.update(configMaps, withController(bare, other, deployments)));
    expect(keys).toEqual(['n/d', 'n/d', 'n/e']);
  });
});

describe('writing again', () => {
  it('reads anew after a conflict, so often and no more', async () => {
    const client = clientNow();
    await client.create(configMaps, { metadata: where, data: { n: '0' } });
    let refused = 3;
    client.intercept = ({ verb, name }) =>
      verb === 'update' && refused-- > 0 ? conflict(configMaps, name) : undefined;
    const increment = (map: ConfigMap): ConfigMap => ({
      ...map,
      data: { n: String(Number(map.data?.['n']) + 1) },
    });
    const written = await updateAgain(client, { kind: configMaps, ...where }, increment, {
      clock: systemClock,
    });
    expect(written.data).toEqual({ n: '1' });
    refused = Infinity;
    const always = updateAgain(client, { kind: configMaps, ...where }, increment, { triesMax: 2 });
    await expect(always).rejects.toThrow(/modified/);
  });

  it('writes nothing where nothing changes', async () => {
    const client = clientNow();
    await client.create(configMaps, { metadata: where });
    await updateAgain(client, { kind: configMaps, ...where }, () => undefined);
    expect(client.writes).toHaveLength(1);
  });

  it('is for conflicts only, and ends with the signal', async () => {
    let runs = 0;
    const fail = async (): Promise<never> => {
      runs++;
      throw new Error('else');
    };
    await expect(retryOnConflict(fail)).rejects.toThrow('else');
    expect(runs).toBe(1);
    await expect(retryOnConflict(fail, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });

  it('of a status writes what is new only', async () => {
    const client = clientNow();
    const pod = client.seed(pods, { metadata: where, spec: { containers: [] }, status: { message: 'a' } });
    await writeStatus(client, pods, pod, { ...pod.status, message: 'a' });
    expect(client.writes).toEqual([]);
    expect((await writeStatus(client, pods, pod, { message: 'b' })).status?.message).toBe('b');
  });
});

describe('keepFinalizer()', () => {
  const name = 'example.com/cleanup';
  const signal = new AbortController().signal;
  const setUp = async (finalizers: readonly string[] = []) => {
    const client = clientNow();
    const object = await client.create(configMaps, { metadata: { ...where, finalizers } });
    const cleaned: string[] = [];
    const cleanup = async (map: ConfigMap): Promise<void> => void cleaned.push(map.metadata?.name ?? '');
    return { client, object, cleaned, options: { client, kind: configMaps, name, cleanup } };
  };

  it('adds it once, and gives the object as it is then', async () => {
    const { client, object, options } = await setUp(['other/one']);
    const kept = await keepFinalizer(object, options, signal);
    expect(kept?.metadata?.finalizers).toEqual(['other/one', name]);
    expect(await keepFinalizer(kept ?? {}, options, signal)).toBe(kept);
    // Of an old copy, too.
    expect((await keepFinalizer(object, options, signal))?.metadata?.finalizers).toEqual(['other/one', name]);
    expect(client.writes).toHaveLength(2);
  });

  it('cleans up and lets go, whatever others hold', async () => {
    const { client, object, cleaned, options } = await setUp(['other/one', name]);
    await client.delete(configMaps, where);
    const going = await client.get(configMaps, where);
    expect(await keepFinalizer(going, options, signal)).toBeUndefined();
    expect([cleaned, (await client.get(configMaps, where)).metadata?.finalizers]).toEqual([
      ['m'],
      ['other/one'],
    ]);
    expect(await keepFinalizer(await client.get(configMaps, where), options, signal)).toBeUndefined();
    expect(cleaned).toEqual(['m']);
    expect(object.metadata?.uid).toBe(going.metadata?.uid);
  });

  it('keeps it when cleaning up fails, and cleans up again', async () => {
    const { client, options } = await setUp([name]);
    await client.delete(configMaps, where);
    const going = await client.get(configMaps, where);
    const cleanup = async (): Promise<void> => Promise.reject(new Error('cloud is down'));
    await expect(keepFinalizer(going, { ...options, cleanup }, signal)).rejects.toThrow('cloud is down');
    expect((await client.get(configMaps, where)).metadata?.finalizers).toEqual([name]);
    await keepFinalizer(going, options, signal);
    // Twice from the same copy is as good as once.
    expect(await keepFinalizer(going, options, signal)).toBeUndefined();
    expect(client.all(configMaps)).toEqual([]);
  });

  it('adds none to what is going, or is another of the name', async () => {
    const { client, object, options } = await setUp(['other/one']);
    await client.delete(configMaps, where);
    expect(await keepFinalizer(object, options, signal)).toBeUndefined();
    await client.patch(configMaps, where, { kind: 'merge', body: { metadata: { finalizers: null } } });
    expect(await keepFinalizer(object, options, signal)).toBeUndefined();
    await client.create(configMaps, { metadata: where });
    expect(await keepFinalizer(object, options, signal)).toBeUndefined();
    expect((await client.get(configMaps, where)).metadata?.finalizers).toBeUndefined();
  });
});

describe('runOperator()', () => {
  it('runs controllers until the signal, and ends what it started', async () => {
    const client = clientNow();
    const stop = new AbortController();
    const worked = Promise.withResolvers<string>();
    const running = runOperator({
      client,
      signal: stop.signal,
      start: ({ informers, clock, logger }) => {
        const maps = informers.for(configMaps);
        const sources = [
          {
            synced: maps.synced,
            attach: (enqueue: (key: string) => void) => maps.onChange(({ key }) => enqueue(key)),
          },
        ];
        return [
          runController({ name: 'c', sources, clock, logger, reconcile: async (key) => worked.resolve(key) }),
        ];
      },
    });
    await client.create(configMaps, { metadata: where });
    expect(await worked.promise).toBe('n/m');
    stop.abort();
    await running;
  });

  it('writes nothing once it has to end, and each controller is told at once', async () => {
    const client = clientNow();
    const stop = new AbortController();
    const begun = Promise.withResolvers<void>();
    const refused: string[] = [];
    let running = 0;
    const operator = runOperator({
      client,
      signal: stop.signal,
      start: ({ client: own, clock, logger }) => {
        const reconcile = async (_key: string, signal: AbortSignal): Promise<void> => {
          if (++running === 2) begun.resolve();
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          const late = own.create(configMaps, { metadata: where });
          refused.push(
            await late.then(
              () => 'written',
              (error: unknown) => String(error),
            ),
          );
        };
        return ['a', 'b'].map((name) => {
          const controller = runController({ name, sources: [], clock, logger, reconcile });
          controller.enqueue('k');
          return controller;
        });
      },
    });
    await begun.promise;
    stop.abort();
    await operator;
    expect(refused).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('no longer works')));
    expect(client.writes).toEqual([]);
  });

  it('of two with one lease only one works, and the other goes on', async () => {
    const client = clientNow();
    const terms: string[] = [];
    const times = { lookMs: 10, renewMs: 20, holderEndsMs: 100_000, leaseMs: 120_000 };
    const run = (identity: string, signal: AbortSignal): Promise<void> =>
      runOperator({
        client,
        signal,
        lease: { namespace: 'n', name: 'op', identity, times },
        logger: silentLogger,
        start: () => {
          terms.push(identity);
          return [];
        },
      });
    const [first, second] = [new AbortController(), new AbortController()];
    const a = run('a', first.signal);
    await expect.poll(() => terms).toEqual(['a']);
    const b = run('b', second.signal);
    await systemClock.sleep(60);
    expect(terms).toEqual(['a']);
    first.abort();
    await a;
    await expect.poll(() => terms).toEqual(['a', 'b']);
    second.abort();
    await b;
  });
});
