import type { JsonObject } from '#api/meta/object.ts';
import { isObject, setOwn, type Draft } from '#api/wire/json.ts';
import { isEmbedded, preservesUnknown, type StructuralSchema } from './structural-schema.ts';
import { formatPath, type Path } from './path.ts';

/** What is left of an object. */
export interface Pruned {
  /** The same object where nothing was dropped. */
  readonly object: JsonObject;
  /** Paths of what was dropped, in order: `spec.arrdef[1].z`. At most `prunedPathCountMax`. */
  readonly unknownFields: readonly string[];
}

/** Beyond this many, more are dropped without mention. */
export const prunedPathCountMax = 100;

/** Members that every whole object has, whatever its schema says. */
const objectMembers: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

interface Walk {
  readonly path: Path;
  readonly dropped: string[];
}

/**
 * Drops what the schema of a custom kind does not know. The object's own apiVersion, kind and metadata stay, as do those of embedded
 * resources; below `x-kubernetes-preserve-unknown-fields` only members of known properties are looked at. Repeated, it drops nothing.
 */
export function pruneObject(schema: StructuralSchema, object: JsonObject): Pruned {
  const walk: Walk = { path: [], dropped: [] };
  const pruned = pruneMembers(schema, object, walk, { keeps: preservesUnknown(schema), isWhole: true });
  return { object: pruned, unknownFields: walk.dropped.toSorted() };
}

/** The same of a part of an object, such as a default. */
export function pruneValue(schema: StructuralSchema, value: unknown): unknown {
  return prune(schema, value, { path: [], dropped: [] });
}

/** Without a schema nothing is known: members of objects go, wherever they are. */
function prune(
  schema: StructuralSchema | undefined,
  value: unknown,
  walk: Walk,
  keepsAbove = false,
): unknown {
  const keeps = keepsAbove || (schema !== undefined && preservesUnknown(schema));
  if (keeps && schema === undefined) return value;
  if (Array.isArray(value)) return pruneItems(schema?.items, value, walk, keeps);
  return isObject(value) ? pruneMembers(schema, value, walk, { keeps, isWhole: false }) : value;
}

/** Of a list that keeps what it does not know, the items do, too. */
function pruneItems(
  schema: StructuralSchema | undefined,
  list: readonly unknown[],
  walk: Walk,
  keeps: boolean,
): readonly unknown[] {
  let copy: unknown[] | undefined;
  list.forEach((item, index) => {
    if (typeof item !== 'object' || item === null) return;
    walk.path.push(index);
    const pruned = prune(schema, item, walk, keeps);
    walk.path.pop();
    if (pruned === item) return;
    copy ??= [...list];
    copy[index] = pruned;
  });
  return copy ?? list;
}

function pruneMembers(
  schema: StructuralSchema | undefined,
  object: JsonObject,
  walk: Walk,
  { keeps, isWhole }: { readonly keeps: boolean; readonly isWhole: boolean },
): JsonObject {
  const hasMeta = isWhole || (schema !== undefined && isEmbedded(schema));
  const others = schema?.additionalProperties;
  let copy: Draft | undefined;
  for (const key of Object.keys(object)) {
    if (hasMeta && objectMembers.has(key)) continue;
    const known = schema?.properties?.get(key);
    if (known === undefined && others === undefined) {
      if (keeps) continue;
      copy ??= copyOf(object);
      delete copy[key];
      note(walk, key);
      continue;
    }
    const value = object[key];
    if (typeof value !== 'object' || value === null) continue;
    walk.path.push(key);
    const pruned = prune(known ?? (typeof others === 'object' ? others : undefined), value, walk);
    walk.path.pop();
    if (pruned === value) continue;
    copy ??= copyOf(object);
    setOwn(copy, key, pruned);
  }
  return copy ?? object;
}

function copyOf(object: JsonObject): Draft {
  const copy: Draft = {};
  for (const key of Object.keys(object)) setOwn(copy, key, object[key]);
  return copy;
}

function note({ path, dropped }: Walk, key: string): void {
  if (dropped.length < prunedPathCountMax) dropped.push(formatPath([...path, key]));
}
