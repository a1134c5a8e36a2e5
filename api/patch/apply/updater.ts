import { equalJson, isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Atom } from './atom.ts';
import { compareObjects, taken, type Comparison } from './compare.ts';
import { configSet, withNamedFields } from './config-set.ts';
import type { Conflict } from './conflict.ts';
import {
  difference,
  emptySet,
  intersection,
  isEmptySet,
  pathsOf,
  union,
  type FieldSet,
} from './field-set.ts';
import { mergeValues } from './merge.ts';
import { ownerId, type Owner, type Owners } from './owner.ts';
import { reconcileSet } from './reconcile.ts';
import { removeFields, withoutNewNulls } from './remove.ts';

/** An object in a version of its kind. */
export interface Form {
  readonly atom: Atom;
  /** From, and to, the version that the request is in. */
  readonly of: (object: JsonObject) => JsonObject;
  readonly back: (object: JsonObject) => JsonObject;
}

/** What owners are reckoned by. */
export interface Terms {
  /** The version that the request is in. */
  readonly apiVersion: string;
  /** Of a version of the kind, `apiVersion` among them; undefined for one that is not served: what was owned in it is nobody's. */
  readonly formOf: (apiVersion: string) => Form | undefined;
  /** Without what the endpoint does not change, whatever it is given (KEP-555, reset fields). */
  readonly withoutReset: (set: FieldSet) => FieldSet;
}

type Changing = Map<string, Owner>;

/** Who owns what after a write that made `next` of `live`. Whoever it is, what was changed is no one else's (merge.Updater.Update). */
export function afterUpdate(
  terms: Terms,
  { live, next }: { readonly live: JsonObject; readonly next: JsonObject },
  owners: Owners,
): { readonly owners: Changing; readonly taken: FieldSet } {
  const changed = reconciled(terms, owners);
  const { compared } = compareByVersion(terms, { live, next });
  const { conflicts, removed } = weigh(changed, undefined, compared);
  lose(changed, conflicts, removed);
  const comparison = compared(terms.apiVersion);
  return { owners: changed, taken: comparison === undefined ? emptySet : taken(comparison) };
}

/** An application of a configuration. */
export interface Application {
  readonly live: JsonObject;
  readonly config: JsonObject;
  /** As whom; its fields are those of the configuration. */
  readonly owner: Omit<Owner, 'fields' | 'time'>;
  /** Whether what others own is taken from them. */
  readonly isForced: boolean;
}

/** What came of it. `object`: undefined where it is as it was. */
export type Applied =
  | { readonly object: JsonObject | undefined; readonly owners: Changing; readonly conflicts?: undefined }
  | { readonly conflicts: readonly Conflict[] };

/**
 * The configuration merged, without what the owner applied before and not now and nobody else owns; what others own and this changes is
 * a conflict (merge.Updater.Apply).
 */
export function applyConfig(terms: Terms, application: Application, owners: Owners): Applied {
  const { live, config, owner, isForced } = application;
  const changed = reconciled(terms, owners);
  const form = terms.formOf(terms.apiVersion);
  const atom: Atom = form?.atom ?? {};
  const id = ownerId(owner);
  const last = changed.get(id);
  const merged = objectOrEmpty(mergeValues(atom, live, config));
  const fields = terms.withoutReset(configSet(atom, config));
  changed.set(id, { ...owner, time: last?.time, fields });
  const next =
    last === undefined || isEmptySet(last.fields) ? merged : prune(terms, { merged, last, owners: changed });
  const { compared } = compareByVersion(terms, { live, next });
  const { conflicts, removed } = weigh(changed, id, compared);
  if (!isForced && conflicts.size > 0) return { conflicts: conflictsOf(changed, conflicts) };
  lose(changed, conflicts, removed);
  if (equalJson(live, next)) return { object: undefined, owners: changed };
  return { object: objectOrEmpty(withoutNewNulls(next, merged)), owners: changed };
}

function objectOrEmpty(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** Owners by the schema as it is now; those of versions that are gone are gone. */
function reconciled({ formOf }: Terms, owners: Owners): Changing {
  const result: Changing = new Map();
  for (const [id, owner] of owners) {
    const form = formOf(owner.apiVersion);
    if (form === undefined) continue;
    const fields = reconcileSet(form.atom, owner.fields);
    result.set(id, fields === owner.fields ? owner : { ...owner, fields });
  }
  return result;
}

type Compared = (apiVersion: string) => Comparison | undefined;

/** The change as it looks in each version that somebody owns something in; each is compared once. */
function compareByVersion(
  { formOf, withoutReset }: Terms,
  { live, next }: { readonly live: JsonObject; readonly next: JsonObject },
): { readonly compared: Compared } {
  const known = new Map<string, Comparison | undefined>();
  const compare = (apiVersion: string): Comparison | undefined => {
    const form = formOf(apiVersion);
    if (form === undefined) return undefined;
    const { added, modified, removed } = compareObjects(form.atom, form.of(live), form.of(next));
    return {
      added: withoutReset(added),
      modified: withoutReset(modified),
      removed: withoutReset(removed),
    };
  };
  return {
    compared: (apiVersion) => {
      if (!known.has(apiVersion)) known.set(apiVersion, compare(apiVersion));
      return known.get(apiVersion);
    },
  };
}

interface Weighed {
  /** What is changed and somebody else's, by owner. */
  readonly conflicts: ReadonlyMap<string, FieldSet>;
  readonly removed: ReadonlyMap<string, FieldSet>;
}

function weigh(owners: Changing, self: string | undefined, compared: Compared): Weighed {
  const conflicts = new Map<string, FieldSet>();
  const removed = new Map<string, FieldSet>();
  for (const [id, { apiVersion, fields }] of owners) {
    if (id === self) continue;
    const comparison = compared(apiVersion);
    if (comparison === undefined) continue;
    const lost = intersection(fields, taken(comparison));
    if (!isEmptySet(lost)) conflicts.set(id, lost);
    if (!isEmptySet(comparison.removed)) removed.set(id, comparison.removed);
  }
  return { conflicts, removed };
}

/** Takes from owners what is another's now, or gone; who owns nothing is none. */
function lose(owners: Changing, ...losses: readonly ReadonlyMap<string, FieldSet>[]): void {
  for (const lost of losses) {
    for (const [id, set] of lost) {
      const owner = owners.get(id);
      if (owner !== undefined) owners.set(id, { ...owner, fields: difference(owner.fields, set) });
    }
  }
  for (const [id, { fields }] of owners) if (isEmptySet(fields)) owners.delete(id);
}

function conflictsOf(owners: Owners, conflicts: ReadonlyMap<string, FieldSet>): readonly Conflict[] {
  return [...conflicts.keys()].toSorted().flatMap((id) => {
    const owner = owners.get(id);
    const set = conflicts.get(id);
    if (owner === undefined || set === undefined) return [];
    return pathsOf(set).map((path) => ({ owner, path }));
  });
}

interface Pruning {
  readonly merged: JsonObject;
  /** What the owner applied the last time. */
  readonly last: Owner;
  /** Who owns what, the configuration of now among them. */
  readonly owners: Owners;
}

/** The object without what its owner has given up; in the versions in which things are owned, for names differ. */
function prune(terms: Terms, { merged, last, owners }: Pruning): JsonObject {
  const form = terms.formOf(last.apiVersion);
  if (form === undefined) return merged;
  const converted = form.of(merged);
  const lastFields = withNamedFields(form.atom, last.fields);
  let pruned = removedFrom(form.atom, converted, lastFields);
  // In this version first: a conversion may need what somebody still owns.
  const versions = [last.apiVersion, ...[...owners.values()].map(({ apiVersion }) => apiVersion)];
  for (const version of new Set(versions)) {
    const other = terms.formOf(version);
    if (other === undefined) continue;
    const managed = [...owners.values()]
      .filter(({ apiVersion }) => apiVersion === version)
      .reduce((set, { fields }) => union(set, fields), emptySet);
    const kept = keepOwned(other.atom, {
      merged: other.of(merged),
      pruned: other.of(form.back(pruned)),
      managed,
    });
    pruned = form.of(other.back(kept));
  }
  const [mergedSet, prunedSet] = [converted, pruned].map((object) =>
    withNamedFields(form.atom, configSet(form.atom, object)),
  );
  const given = intersection(difference(mergedSet ?? emptySet, prunedSet ?? emptySet), lastFields);
  return form.back(removedFrom(form.atom, converted, given));
}

/** With what was pruned and somebody owns. */
function keepOwned(
  atom: Atom,
  {
    merged,
    pruned,
    managed,
  }: { readonly merged: JsonObject; readonly pruned: JsonObject; readonly managed: FieldSet },
): JsonObject {
  const all = withNamedFields(atom, configSet(atom, merged));
  const kept = union(withNamedFields(atom, configSet(atom, pruned)), withNamedFields(atom, managed));
  return removedFrom(atom, merged, difference(all, kept));
}

function removedFrom(atom: Atom, object: JsonObject, set: FieldSet): JsonObject {
  return isEmptySet(set) ? object : objectOrEmpty(removeFields(atom, object, set));
}
