import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { conflict, statusError } from '#api/errors/status.ts';
import { secrets, storageVersionMigrations } from '#api/schema/kind-ref.ts';
import type { CustomResourceDefinition, StorageVersionMigration } from '#api/generated/objects.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { definitionMigrated, definitionMigrating, planMigrations } from './plan.ts';
import { runStorageMigrations } from './reconcile.ts';

const nowMs = Date.UTC(2026, 0, 1);
const migration = (name: string, created: string, ...types: readonly string[]): StorageVersionMigration => ({
  metadata: { name, creationTimestamp: created },
  spec: { resource: { group: '', resource: 'secrets' } },
  status: {
    conditions: types.map((type) => ({
      ...{ type: type.replace('!', ''), status: type.startsWith('!') ? 'False' : 'True' },
      ...{ reason: 'R', message: '', lastTransitionTime: created },
    })),
  },
});

describe('planMigrations()', () => {
  it.each<{ name: string; given: readonly StorageVersionMigration[]; ended: string; next?: string }>([
    { name: 'none', given: [], ended: '' },
    { name: 'the older first', given: [migration('b', '2'), migration('a', '1')], ended: '', next: 'a' },
    { name: 'by name', given: [migration('b', '1'), migration('a', '1')], ended: '', next: 'a' },
    {
      name: 'the one that runs',
      given: [migration('a', '1'), migration('b', '2', 'Running')],
      ended: '',
      next: 'b',
    },
    {
      name: 'those whose definition has not been told',
      given: [
        migration('a', '1', '!Running', 'Succeeded'),
        migration('b', '2', '!Running', 'Failed'),
        migration('c', '3', 'Succeeded'),
        migration('d', '4'),
      ],
      ended: 'a b',
      next: 'd',
    },
  ])('$name', ({ given, ended, next }) => {
    const plan = planMigrations(given);
    expect(plan.ended.map(({ metadata }) => metadata?.name).join(' ')).toBe(ended);
    expect(plan.next?.metadata?.name).toBe(next);
  });
});

describe('a definition', () => {
  const definition = (generation: number, condition?: object): CustomResourceDefinition =>
    ({
      metadata: { name: 'moves.example.com', generation },
      spec: { versions: [{ name: 'v1' }, { name: 'v2', storage: true }] },
      status: { storedVersions: ['v1', 'v2'], conditions: condition === undefined ? [] : [condition] },
    }) as unknown as CustomResourceDefinition;
  const shown = ({ status }: CustomResourceDefinition): readonly unknown[] => {
    const { type, status: is, reason, message, observedGeneration } = status?.conditions?.[0] ?? {};
    return [`${type} ${is} ${reason} ${observedGeneration}`, message, status?.storedVersions?.join(' ')];
  };
  const running = definitionMigrating(definition(3), 'm', nowMs).status?.conditions?.[0];

  it('says that it migrates', () => {
    expect(shown(definitionMigrating(definition(3), 'm', nowMs))).toEqual([
      ...['StorageMigrating True MigrationRunning 3', 'Migration m is running', 'v1 v2'],
    ]);
  });

  it.each([
    {
      name: 'has one stored version',
      generation: 3,
      end: 'Succeeded',
      want: [
        'StorageMigrating False MigrationSucceeded 3',
        'The migration has succeeded and the stored versions have been updated',
        'v2',
      ],
    },
    {
      name: 'that changed meanwhile has both',
      generation: 4,
      end: 'Succeeded',
      want: [
        'StorageMigrating False MigrationSucceeded 4',
        'The migration has succeeded but the stored versions have not been updated due to a generation mismatch',
        'v1 v2',
      ],
    },
    {
      name: 'of a migration that failed has both',
      generation: 3,
      end: 'Failed',
      want: ['StorageMigrating False MigrationFailed 3', 'The migration has failed', 'v1 v2'],
    },
  ] as const)('$name', ({ generation, end, want }) => {
    expect(shown(definitionMigrated(definition(generation, running), end, nowMs))).toEqual(want);
  });
});

describe('a migration on a fake API', () => {
  const kind = { ...secrets };
  const refused = 'migration encountered unhandled error: secrets "s2" is forbidden: no';
  it.each([
    {
      name: 'of what is not served fails after a minute',
      resource: 'nothings',
      want: ['Failed', 'migration encountered unhandled error: resource does not exist in discovery'],
      afterMs: 62_000,
    },
    { name: 'of objects that are stored anew', resource: 'secrets', want: ['Succeeded', ''] },
    {
      name: 'of one that somebody changed',
      resource: 'secrets',
      error: conflict(kind, 's2'),
      want: ['Succeeded', ''],
    },
    {
      name: 'of one that is refused',
      resource: 'secrets',
      error: statusError(403, 'Forbidden', 'secrets "s2" is forbidden: no'),
      want: ['Failed', refused],
    },
    {
      name: 'of a server that is busy for a while',
      resource: 'secrets',
      error: statusError(429, 'TooManyRequests', 'busy'),
      times: 3,
      want: ['Succeeded', ''],
    },
  ])('$name', async ({ resource, error, times = 1, want, afterMs = 2_000 }) => {
    const clock = createFakeClock(nowMs);
    const client = createFakeApiClient(clock);
    await using informers = createInformers({ client, clock });
    const context = { client, informers, clock, logger: silentLogger } as unknown as ControllerContext;
    for (const name of ['s1', 's2', 's3']) client.seed(secrets, { metadata: { namespace: 'n', name } });
    let failures = 0;
    const applied: string[] = [];
    client.intercept = ({ verb, name = '' }) => {
      if (verb !== 'apply') return undefined;
      if (name === 's2' && error !== undefined && failures++ < times) return error;
      applied.push(name);
      return undefined;
    };
    await using _loop = runStorageMigrations(context);

    const where = { name: 'm' };
    await client.create(storageVersionMigrations, {
      metadata: where,
      spec: { resource: { group: '', resource } },
    });
    for (let passed = 0; passed < afterMs; passed += 500) {
      await untilTurnsEnd();
      clock.advance(500);
    }
    await untilTurnsEnd();
    const { status } = await client.get(storageVersionMigrations, where);
    expect(status?.conditions?.map(({ type, message }) => [type, message])).toEqual([want]);
    if (want[0] === 'Succeeded') expect([...new Set(applied)]).toEqual(expect.arrayContaining(['s1', 's3']));
  });
});
