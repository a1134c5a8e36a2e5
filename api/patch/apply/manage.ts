import { at, equalJson, isObject, objectOf, withPath } from '#api/wire/json.ts';
import { formatTime } from '#api/meta/time.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { applyConflict, type Conflict } from './conflict.ts';
import { difference, hasPath, isEmptySet, setOfPaths, union } from './field-set.ts';
import { fieldElement } from './path-element.ts';
import { lastAppliedFields, nameOfKubectl } from './last-applied.ts';
import { newObjectSet, type Unowned } from './new-object-set.ts';
import {
  capOwners,
  ownerId,
  ownersOrNone,
  readOwners,
  writeOwner,
  writeOwners,
  type Owner,
  type Owners,
} from './owner.ts';
import { afterUpdate, applyConfig, type Application, type Terms } from './updater.ts';

/** Who writes, and when. */
export interface Writer {
  /** '' for one who has no name. */
  readonly manager: string;
  /** The part that is written; '' for the object itself. */
  readonly subresource: string;
  readonly nowMs: number;
}

/** Terms of a kind's objects. */
export interface KindTerms extends Terms {
  /** An object of nothing: what new ones are compared with. */
  readonly empty: JsonObject;
  /** Members of objects that writes of them leave as they were, where that is all; undefined: it is not. */
  readonly resetMembers: readonly string[] | undefined;
}

/** Fields that are nobody's, for the server says what they are (apimachinery managedfields, stripMetaManager). */
const ofMetadata: ReadonlySet<string> = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
]);
const ownerless = setOfPaths(
  [['apiVersion'], ['kind'], ['metadata'], ...[...ofMetadata].map((name) => ['metadata', name])].map((path) =>
    path.map(fieldElement),
  ),
);

/** The object without who owns what of it. */
export function withoutOwners(object: JsonObject): JsonObject {
  const metadata = objectOf(object['metadata']);
  if (metadata['managedFields'] === undefined) return object;
  const { managedFields: _managedFields, ...rest } = metadata;
  return { ...object, metadata: rest };
}

/**
 * The object with the owners of another. Who changes an object without a word about its owners is given it without them: they are long, and
 * would be copied.
 */
export function withOwnersOf(object: JsonObject, owned: JsonObject): JsonObject {
  const managedFields = at(owned, 'metadata.managedFields');
  const bare = withoutOwners(object);
  if (managedFields === undefined) return bare;
  return { ...bare, metadata: { ...objectOf(bare['metadata']), managedFields } };
}

/**
 * The object as others left it who may have changed its owners: with those of `owned` where nobody can read them (kube-apiserver,
 * ManagedFieldsValidatingAdmissionController). `fault` says why.
 */
export function withReadableOwners(
  object: JsonObject,
  owned: JsonObject,
): { readonly object: JsonObject; readonly fault: string | undefined } {
  const managedFields = at(object, 'metadata.managedFields');
  if (managedFields === at(owned, 'metadata.managedFields')) return { object, fault: undefined };
  try {
    readOwners(managedFields);
    return { object, fault: undefined };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { object: withOwnersOf(object, owned), fault: error.message };
  }
}

/** What is told of it. */
export function unreadableOwnersWarning(fault: string): string {
  return `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${fault}`;
}

/** The object with its owners. */
export function withOwners(object: JsonObject, owners: Owners): JsonObject {
  const managedFields = writeOwners(owners);
  const bare = withoutOwners(object);
  if (managedFields === undefined) return bare;
  return { ...bare, metadata: { ...objectOf(bare['metadata']), managedFields } };
}

/**
 * What a write that is no application leaves: `next`, defaulted, with metadata.managedFields of after it. `live` is what was there;
 * undefined for a new object. A write never fails for who owns what (apimachinery managedfields, FieldManager.UpdateNoErrors).
 */
export function manageUpdate(
  terms: KindTerms,
  { live, next }: { readonly live: JsonObject | undefined; readonly next: JsonObject },
  writer: Writer,
): JsonObject {
  if (live === undefined && terms.resetMembers !== undefined) return manageNew(terms, next, writer);
  const owners = ownersBefore(live, next, writer);
  // An object whose owners were wiped is tracked again from the first application on.
  if (owners.size === 0 && live !== undefined) return withoutOwners(next);
  const change = { live: withoutOwners(live ?? terms.empty), next: withoutOwners(next) };
  return withOwners(change.next, capOwners(ownersAfterUpdate(terms, { ...change, owners }, writer)));
}

/** The short way of a new object: it is all its maker's, or nobody's. */
function manageNew(terms: KindTerms, next: JsonObject, writer: Writer): JsonObject {
  const form = terms.formOf(terms.apiVersion);
  const object = withoutOwners(next);
  if (form === undefined) return object;
  const fields = newObjectSet(form.atom, { empty: terms.empty, object, unowned: unownedOf(terms) });
  if (isEmptySet(fields)) return object;
  const owner: Owner = { ...ownerOf(terms, writer, 'Update'), time: formatTime(writer.nowMs), fields };
  return { ...object, metadata: { ...objectOf(object['metadata']), managedFields: [writeOwner(owner)] } };
}

const unownedByReset = new WeakMap<readonly string[], Unowned>();

function unownedOf({ resetMembers = [] }: KindTerms): Unowned {
  let unowned = unownedByReset.get(resetMembers);
  if (unowned === undefined) {
    unowned = { ofObject: new Set(['apiVersion', 'kind', ...resetMembers]), ofMetadata };
    unownedByReset.set(resetMembers, unowned);
  }
  return unowned;
}

function ownersBefore(live: JsonObject | undefined, next: JsonObject, { subresource }: Writer): Owners {
  const ofLive = at(live, 'metadata.managedFields');
  const given = at(next, 'metadata.managedFields');
  if (live === undefined) return new Map();
  if (subresource !== '' || given === ofLive) return ownersOrNone(ofLive);
  if (isReset(given)) return new Map();
  const owners = ownersOrNone(given);
  // Clients that know nothing of owners leave them out.
  return owners.size === 0 ? ownersOrNone(ofLive) : owners;
}

/** No entries, or one that says nothing: the client wants them gone. */
function isReset(managedFields: unknown): boolean {
  if (!Array.isArray(managedFields)) return false;
  if (managedFields.length === 0) return true;
  const [first] = managedFields;
  return managedFields.length === 1 && isObject(first) && Object.keys(first).length === 0;
}

interface Change {
  readonly live: JsonObject;
  readonly next: JsonObject;
  readonly owners: Owners;
}

function ownersAfterUpdate(terms: Terms, change: Change, writer: Writer): Owners {
  const { owners, taken } = afterUpdate(terms, change, change.owners);
  const fields = difference(taken, ownerless);
  if (isEmptySet(fields)) return owners;
  const self = ownerOf(terms, writer, 'Update');
  const id = ownerId(self);
  const before = owners.get(id)?.fields;
  const all = before === undefined ? fields : union(fields, before);
  return owners.set(id, { ...self, time: formatTime(writer.nowMs), fields: all });
}

function ownerOf(
  { apiVersion }: Terms,
  { manager, subresource }: Writer,
  operation: Owner['operation'],
): Omit<Owner, 'fields' | 'time'> {
  return { manager: manager === '' ? 'unknown' : manager, operation, apiVersion, subresource };
}

/** What applying came to. */
export interface Managed {
  /** Merged, neither decoded nor defaulted, without its owners; undefined where it is as it was. */
  readonly object: JsonObject | undefined;
  readonly owners: Owners;
}

/**
 * A configuration applied to the live object, or to the empty one. @throws {E_API} 409 for what others own, unless `isForced`
 */
export function manageApply(
  terms: KindTerms,
  {
    live,
    config,
    isForced,
  }: { readonly live: JsonObject; readonly config: JsonObject; readonly isForced: boolean },
  writer: Writer,
): Managed {
  const bare = withoutOwners(live);
  const owners = ownersForApply(terms, live, writer);
  const application = { live: bare, config, owner: ownerOf(terms, writer, 'Apply'), isForced };
  const applied = applyConfig(terms, application, owners);
  const done =
    applied.conflicts === undefined
      ? applied
      : resolveConflicts(terms, { application, owners }, applied.conflicts);
  return stamped(done, application, writer);
}

/** Who owns what before; of an object that nobody owns anything of, all that is there is `before-first-apply`'s. */
function ownersForApply(terms: KindTerms, live: JsonObject, writer: Writer): Owners {
  const owners = ownersOrNone(at(live, 'metadata.managedFields'));
  if (owners.size > 0) return owners;
  const change = { live: terms.empty, next: withoutOwners(live), owners };
  return ownersAfterUpdate(terms, change, { ...writer, manager: 'before-first-apply' });
}

interface Done {
  readonly object: JsonObject | undefined;
  readonly owners: Map<string, Owner>;
}

/** kubectl, which once applied by itself what it applies now by the server, has no conflict over that (KEP-555, upgrade of client-side apply). */
function resolveConflicts(
  terms: Terms,
  { application, owners }: { readonly application: Application; readonly owners: Owners },
  conflicts: readonly Conflict[],
): Done {
  const { live, owner } = application;
  const allowed = owner.manager === nameOfKubectl ? lastAppliedFields(terms, live) : undefined;
  if (allowed === undefined) throw applyConflict(conflicts);
  const left = conflicts.filter(({ path }) => !hasPath(allowed, path));
  if (left.length > 0) throw applyConflict(left);
  const applied = applyConfig(terms, { ...application, isForced: true }, owners);
  if (applied.conflicts !== undefined) throw applyConflict(applied.conflicts);
  return applied;
}

/** The applier's entry has the time of its last change of the object; without one, and without fields, it is none. */
function stamped({ object, owners }: Done, { owner }: Application, { nowMs }: Writer): Managed {
  const id = ownerId(owner);
  const own = owners.get(id);
  if (own !== undefined) {
    const fields = difference(own.fields, ownerless);
    if (isEmptySet(fields)) owners.delete(id);
    else owners.set(id, { ...own, fields, time: object === undefined ? own.time : formatTime(nowMs) });
  }
  return { object, owners };
}

/** The object with the times of the one before, where nothing else of it changed: such a write is none. */
export function withoutNewTimes(old: JsonObject, next: JsonObject): JsonObject {
  const [before, after] = [old, next].map((object) => at(object, 'metadata.managedFields'));
  if (before === after || !Array.isArray(before) || !Array.isArray(after)) return next;
  if (!equalJson(before.map(timeless), after.map(timeless))) return next;
  const reverted = withPath(next, 'metadata.managedFields', before);
  return equalJson(old, reverted) ? reverted : next;
}

function timeless(entry: unknown): JsonObject {
  const { time: _time, ...rest } = objectOf(entry);
  return rest;
}
