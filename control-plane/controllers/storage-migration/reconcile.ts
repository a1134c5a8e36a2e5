import type { KeyOutcome } from '#base/keyed-queue.ts';
import type {
  CustomResourceDefinition,
  StorageVersionMigration,
  StorageVersionMigrationStatus,
} from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { customResourceDefinitions, storageVersionMigrations } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { kindToMigrate, migrateObjects, revisionOf } from './migrate.ts';
import {
  begun,
  definitionMigrated,
  definitionMigrating,
  endedWith,
  endOf,
  planMigrations,
  resourceKey,
  resourceOfKey,
  toldOf,
} from './plan.ts';

/** A definition that was just made may not be served yet: its migration is tried again for so long. */
const absentMsMax = 60_000;
const absentRetryMs = 1_000;

/** Whoever has written definitions is known by this name (MigrationRunnerControllerName). */
const fieldManager = 'migration-runner-controller';

/** Has objects stored anew where a StorageVersionMigration asks for it: in the version of today, by the key of today (KEP-4192). */
export function runStorageMigrations(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const informer = informers.for(storageVersionMigrations, {
    indexes: { resource: (migration) => [resourceKey(migration)] },
  });
  const write = async (
    migration: StorageVersionMigration,
    status: StorageVersionMigrationStatus,
  ): Promise<StorageVersionMigration> => {
    const next = { ...migration, status };
    const written = await client.update(storageVersionMigrations, next, { subresource: 'status' });
    informer.observe(written);
    return written;
  };
  const end = (migration: StorageVersionMigration, problem: string | undefined) =>
    write(migration, endedWith(migration, problem, clock.now()));

  const run = async (
    key: string,
    migration: StorageVersionMigration,
    signal: AbortSignal,
  ): Promise<KeyOutcome | void> => {
    const kind = await kindToMigrate(client, resourceOfKey(key));
    if (kind === undefined) {
      const ageMs = clock.now() - Date.parse(migration.metadata?.creationTimestamp ?? '');
      if (ageMs < absentMsMax) return { kind: 'again', afterMs: absentRetryMs };
      return void (await end(migration, failure('resource does not exist in discovery')));
    }
    let running = migration;
    if (!isConditionTrue(running.status?.conditions, 'Running')) {
      const { name = '' } = running.metadata ?? {};
      await tellDefinition(context, key, (found) => definitionMigrating(found, name, clock.now()));
      running = await write(running, begun(running, await revisionOf(client, kind), clock.now()));
    }
    const { resourceVersion = '' } = running.status ?? {};
    const problem = await migrateObjects(client, kind, { resourceVersion, signal });
    await end(running, problem === undefined ? undefined : failure(problem));
  };
  return runController({
    name: 'storage-version-migrator-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(informer, ({ old, current }) =>
        [old, current].flatMap((one) => (one === undefined ? [] : [resourceKey(one)])),
      ),
    ],
    reconcile: async (key, signal) => {
      const { ended, next } = planMigrations(informer.byIndex('resource', key));
      for (const migration of ended) {
        await tellDefinition(context, key, (found) =>
          definitionMigrated(found, endOf(migration), clock.now()),
        );
        await write(migration, toldOf(migration));
      }
      return next === undefined ? undefined : run(key, next, signal);
    },
  });
}

const failure = (problem: string): string => `migration encountered unhandled error: ${problem}`;

/** Of a resource that a definition makes; others have nobody to be told. */
async function tellDefinition(
  { client }: ControllerContext,
  key: string,
  change: (definition: CustomResourceDefinition) => CustomResourceDefinition,
): Promise<void> {
  try {
    const definition = await client.get(customResourceDefinitions, { name: key });
    await client.update(customResourceDefinitions, change(definition), {
      subresource: 'status',
      fieldManager,
    });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
