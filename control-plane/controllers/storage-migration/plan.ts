import type {
  Condition,
  CustomResourceDefinition,
  GroupResource,
  StorageVersionMigration,
  StorageVersionMigrationStatus,
} from '#api/generated/objects.ts';
import { isConditionTrue, withCondition, withoutCondition, findCondition } from '#api/meta/condition.ts';

/*
 * What migrations and definitions say, in words of kube-controller-manager 1.36 (pkg/controller/storageversionmigrator):
 *
 *   made ─▶ Running ─▶ Succeeded, Running False ─▶ the definition has one stored version ─▶ Succeeded
 *                  └─▶ Failed, Running False ────▶ the definition says so ────────────────▶ Failed
 *
 * Each step is written before the next begins; whoever comes anew goes on from what is written.
 */

/** How a migration ended; undefined: it has not. */
export type MigrationEnd = 'Succeeded' | 'Failed' | undefined;

/** What the migrations of one resource call for. */
export interface MigrationsPlan {
  /** Ended, while the definition of their resource may still say that they run. */
  readonly ended: readonly StorageVersionMigration[];
  /** Whose turn it is: of a resource one runs at a time, then the oldest. */
  readonly next: StorageVersionMigration | undefined;
}

/** `deployments.apps`, `secrets.`: of which resource a migration is. */
export function resourceKey({ spec }: StorageVersionMigration): string {
  const { group = '', resource = '' } = spec?.resource ?? {};
  return `${resource}.${group}`;
}

/** The resource of such a key; plurals have no dots. */
export function resourceOfKey(key: string): GroupResource {
  const dot = key.indexOf('.');
  return { group: key.slice(dot + 1), resource: key.slice(0, dot) };
}

/** The migrations of one resource. */
export function planMigrations(migrations: readonly StorageVersionMigration[]): MigrationsPlan {
  const isRunning = ({ status }: StorageVersionMigration): boolean =>
    isConditionTrue(status?.conditions, 'Running');
  const open = migrations.filter((one) => endOf(one) === undefined).toSorted(byAge);
  return {
    ended: migrations.filter(
      (one) => endOf(one) !== undefined && findCondition(one.status?.conditions, 'Running') !== undefined,
    ),
    next: open.find(isRunning) ?? open[0],
  };
}

export function endOf({ status }: StorageVersionMigration): MigrationEnd {
  return (['Succeeded', 'Failed'] as const).find((type) => isConditionTrue(status?.conditions, type));
}

function byAge(a: StorageVersionMigration, b: StorageVersionMigration): number {
  const keyOf = ({ metadata }: StorageVersionMigration): string =>
    `${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;
  return keyOf(a) < keyOf(b) ? -1 : 1;
}

/** The status of one that begins: objects up to that revision are written anew. */
export function begun(
  { status }: StorageVersionMigration,
  resourceVersion: string,
  nowMs: number,
): StorageVersionMigrationStatus {
  const said = { reason: 'MigrationRunning', message: 'The migration is running' };
  return {
    conditions: withCondition(status?.conditions, condition('Running', 'True', said), nowMs),
    resourceVersion: status?.resourceVersion ?? resourceVersion,
  };
}

/** The status of one that ended; `problem`: why it failed. It still says that it ran until its definition was told. */
export function endedWith(
  { status }: StorageVersionMigration,
  problem: string | undefined,
  nowMs: number,
): StorageVersionMigrationStatus {
  const end =
    problem === undefined
      ? condition('Succeeded', 'True', { reason: 'StorageVersionMigrationSucceeded', message: '' })
      : condition('Failed', 'True', { reason: 'StorageVersionMigrationFailed', message: problem });
  const running = findCondition(status?.conditions, 'Running');
  const before =
    running === undefined
      ? status?.conditions
      : withCondition(status?.conditions, { ...running, status: 'False' }, nowMs);
  return { ...status, conditions: withCondition(before, end, nowMs) };
}

/** The status of one whose definition was told. */
export function toldOf({ status }: StorageVersionMigration): StorageVersionMigrationStatus {
  return { ...status, conditions: withoutCondition(status?.conditions, 'Running') };
}

function condition(
  type: string,
  status: string,
  said: { readonly reason: string; readonly message: string },
): Condition {
  return { type, status, ...said, lastTransitionTime: '' };
}

/** The definition while the migration of that name runs. */
export function definitionMigrating(
  definition: CustomResourceDefinition,
  name: string,
  nowMs: number,
): CustomResourceDefinition {
  const said = { reason: 'MigrationRunning', message: `Migration ${name} is running` };
  return withMigrating(definition, { status: 'True', ...said }, nowMs);
}

/**
 * The definition after a migration. Where it is as it was when that began, nothing is stored any more in another version than the
 * one that objects are stored in, and whoever owns the definition may take the others away.
 */
export function definitionMigrated(
  definition: CustomResourceDefinition,
  end: MigrationEnd,
  nowMs: number,
): CustomResourceDefinition {
  const { metadata, spec, status } = definition;
  const begunAt = findCondition(status?.conditions, 'StorageMigrating')?.observedGeneration;
  const isSame = begunAt !== undefined && begunAt === metadata?.generation;
  if (end !== 'Succeeded') {
    const said = { reason: 'MigrationFailed', message: 'The migration has failed' };
    return withMigrating(definition, { status: 'False', ...said }, nowMs);
  }
  const message = `The migration has succeeded ${
    isSame
      ? 'and the stored versions have been updated'
      : 'but the stored versions have not been updated due to a generation mismatch'
  }`;
  const told = withMigrating(definition, { status: 'False', reason: 'MigrationSucceeded', message }, nowMs);
  const storedVersions = spec.versions.filter(({ storage }) => storage).map(({ name }) => name);
  return isSame ? { ...told, status: { ...told.status, storedVersions } } : told;
}

function withMigrating(
  definition: CustomResourceDefinition,
  said: { readonly status: string; readonly reason: string; readonly message: string },
  nowMs: number,
): CustomResourceDefinition {
  const { metadata, status } = definition;
  const migrating = { type: 'StorageMigrating', ...said, observedGeneration: metadata?.generation };
  return {
    ...definition,
    status: { ...status, conditions: withCondition(status?.conditions, migrating, nowMs) },
  };
}
