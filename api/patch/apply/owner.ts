import { goJson, isObject, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isEmptySet, union, type FieldSet } from './field-set.ts';
import { knownSet, readFieldSet } from './read-field-set.ts';

/** Who owns which fields of an object: an entry of metadata.managedFields (meta/v1 ManagedFieldsEntry). */
export interface Owner {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  /** In which version of the kind the fields are named. */
  readonly apiVersion: string;
  /** RFC 3339, seconds; undefined: what the entry stands for changed nothing of the object. */
  readonly time: string | undefined;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly fields: FieldSet;
}

/** Owners by `ownerId`: who applies has one entry whatever version it applies in, who updates one for each. */
export type Owners = ReadonlyMap<string, Owner>;

/** What tells an entry from others, in the form in which upstream sorts them (managedfields.BuildManagerIdentifier). */
export function ownerId({
  manager,
  operation,
  apiVersion,
  subresource,
}: Omit<Owner, 'time' | 'fields'>): string {
  return JSON.stringify({
    ...(manager === '' ? {} : { manager }),
    ...(operation === 'Update' ? { operation, apiVersion } : { operation }),
    ...(subresource === '' ? {} : { subresource }),
  });
}

/** Entries of one object that are read, at most; with more none is. */
export const ownerCountMax = 10_000;

/** metadata.managedFields of an object. @throws {SyntaxError} for what is none, in upstream's words */
export function readOwners(managedFields: unknown): Owners {
  const owners = new Map<string, Owner>();
  if (!Array.isArray(managedFields)) return owners;
  if (managedFields.length > ownerCountMax) throw new SyntaxError('too many managed fields entries');
  for (const [index, entry] of managedFields.entries()) {
    const owner = readOwner(isObject(entry) ? entry : {}, index);
    owners.set(ownerId(owner), owner);
  }
  return owners;
}

function readOwner(entry: JsonObject, index: number): Owner {
  const { operation, fieldsType, time } = entry;
  const apiVersion = stringOf(entry['apiVersion']);
  if (operation !== 'Apply' && operation !== 'Update')
    throw new SyntaxError('operation must be `Apply` or `Update`');
  if (apiVersion === '') throw new SyntaxError('apiVersion must not be empty');
  if (stringOf(fieldsType) === '')
    throw new SyntaxError(`missing fieldsType in managed fields entry ${index}`);
  if (fieldsType !== 'FieldsV1')
    throw new SyntaxError(`invalid fieldsType ${goJson(fieldsType)} in managed fields entry ${index}`);
  return {
    manager: stringOf(entry['manager']),
    operation,
    apiVersion,
    time: typeof time === 'string' && time !== '' ? time : undefined,
    subresource: stringOf(entry['subresource']),
    fields: readFieldSet(entry['fieldsV1']),
  };
}

/** As `readOwners`; what cannot be read owns nothing. */
export function ownersOrNone(managedFields: unknown): Owners {
  try {
    return readOwners(managedFields);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new Map();
  }
}

/** metadata.managedFields for owners: who applied first, then by time, manager, version; undefined for none. */
export function writeOwners(owners: Owners): readonly JsonObject[] | undefined {
  if (owners.size === 0) return undefined;
  return [...owners.values()].toSorted(compareOwners).map(writeOwner);
}

/** An entry of metadata.managedFields. */
export function writeOwner({ manager, operation, apiVersion, time, subresource, fields }: Owner): JsonObject {
  return {
    ...(manager === '' ? {} : { manager }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: knownSet(fields),
    ...(subresource === '' ? {} : { subresource }),
  };
}

function compareOwners(a: Owner, b: Owner): number {
  return (
    compare(a.operation, b.operation) ||
    secondsOf(a) - secondsOf(b) ||
    compare(a.manager, b.manager) ||
    compare(a.apiVersion, b.apiVersion) ||
    compare(a.subresource, b.subresource)
  );
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function secondsOf({ time }: Owner): number {
  const ms = time === undefined ? 0 : Date.parse(time);
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}

/** Entries of updates that an object keeps (DefaultMaxUpdateManagers). */
export const updateOwnerCountMax = 10;

const ancientManager = 'ancient-changes';

/** With the oldest entries of updates, beyond so many, in one of `ancient-changes` for each version. */
export function capOwners(owners: Owners): Owners {
  const updaters = [...owners].filter(([, { operation }]) => operation === 'Update');
  let count = updaters.length;
  if (count <= updateOwnerCountMax) return owners;
  const capped = new Map(owners);
  const firstOf = new Map<string, string>();
  const byAge = updaters.toSorted(
    ([idOfA, a], [idOfB, b]) => secondsOf(a) - secondsOf(b) || compare(idOfA, idOfB),
  );
  for (const [id, owner] of byAge) {
    if (count <= updateOwnerCountMax) break;
    const first = firstOf.get(owner.apiVersion);
    if (first === undefined) {
      firstOf.set(owner.apiVersion, id);
      continue;
    }
    mergeInto(capped, { first, id, owner });
    count--;
  }
  return capped;
}

function mergeInto(
  owners: Map<string, Owner>,
  { first, id, owner }: { readonly first: string; readonly id: string; readonly owner: Owner },
): void {
  const bucket: Owner = { ...owner, manager: ancientManager, subresource: '' };
  const bucketId = ownerId(bucket);
  let fields = owners.get(bucketId)?.fields;
  if (fields === undefined) {
    fields = owners.get(first)?.fields;
    owners.delete(first);
  }
  owners.delete(id);
  // The time is that of the newest of them.
  owners.set(bucketId, { ...bucket, fields: unionOf(owner.fields, fields) });
}

function unionOf(a: FieldSet, b: FieldSet | undefined): FieldSet {
  return b === undefined || isEmptySet(b) ? a : union(a, b);
}
