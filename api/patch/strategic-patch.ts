import { cloneJson, goJson, isObject, listOf, setOwn, type Draft } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { containerOf, type SchemaField, type TypeRef } from '#api/schema/type-source.ts';
import { badRequest, statusError } from '#api/errors/status.ts';

/**
 * Strategic merge patch: like a merge patch, but lists that have a merge key merge by it, lists of scalars marked so merge as sets,
 * and directives steer ($patch, $retainKeys, $setElementOrder/f, $deleteFromPrimitiveList/f). The base is not changed.
 * Source: k8s.io/apimachinery strategicpatch; which list merges how: the schema (`SchemaField.merge`).
 * @throws {E_API} 400 for a malformed directive, 500 for a list item without its merge key (as kube-apiserver answers)
 */
export function applyStrategicPatch(type: TypeRef, base: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(cloneJson(base) as Draft, patch, type);
}

const deletePrimitives = '$deleteFromPrimitiveList/';
const elementOrder = '$setElementOrder/';

/** Changes `base`, which is part of a copy already. `type` has no name where the schema does not say what is there. */
function mergeObject(base: Draft, patch: JsonObject, type: TypeRef): Draft {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive);
  const merged = retainKeys(base, patch);
  for (const key of Object.keys(patch)) {
    if (isDirective(key)) continue;
    const value = patch[key];
    if (value === null) delete merged[key];
    else
      setOwn(
        merged,
        key,
        mergeField(Object.hasOwn(merged, key) ? merged[key] : undefined, value, { type, key, patch }),
      );
  }
  for (const key of Object.keys(patch)) applyListDirective(merged, patch, { key, type });
  return merged;
}

interface FieldPlace {
  readonly type: TypeRef;
  readonly key: string;
  readonly patch: JsonObject;
}

function mergeField(base: unknown, value: unknown, place: FieldPlace): unknown {
  const { type, key } = place;
  const { merge } = fieldOf(type, key) ?? {};
  if (isObject(value)) {
    const target = isObject(base) ? (base as Draft) : {};
    return mergeObject(target, value, fieldType(type, key));
  }
  if (!Array.isArray(value) || merge?.ps?.split(',').includes('merge') !== true)
    return stripDirectives(value);
  if (merge.pk === undefined) return mergePrimitives(listOf(base), value);
  return mergeList(listOf(base), value, { mergeKey: merge.pk, type: itemType(type, key) });
}

/** Lists of scalars: what is new is appended. */
function mergePrimitives(base: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const known = new Set(base.map(identityOf));
  const fresh = patch.filter((item) => !known.has(identityOf(item)));
  return [...base, ...new Set(fresh)];
}

function mergeList(
  base: readonly unknown[],
  patch: readonly unknown[],
  list: { readonly mergeKey: string; readonly type: TypeRef },
): readonly unknown[] {
  const isReplace = (item: unknown): boolean =>
    isObject(item) && item['$patch'] === 'replace' && item[list.mergeKey] === undefined;
  if (patch.some(isReplace)) return patch.filter((item) => !isReplace(item)).map(stripDirectives);
  const merged: (unknown | typeof removed)[] = [...base];
  const places = new Map<unknown, number[]>();
  for (const [index, item] of merged.entries()) {
    if (isObject(item)) place(places, identityOf(item[list.mergeKey]), index);
  }
  for (const item of patch) mergeItem({ merged, places }, item, list);
  return merged.filter((item) => item !== removed);
}

const removed = Symbol('removed');

/** A list that grows, and where in it the items of each key are: it is not searched for every item of the patch. */
interface MergedList {
  readonly merged: unknown[];
  readonly places: Map<unknown, number[]>;
}

function place(places: Map<unknown, number[]>, identity: unknown, index: number): void {
  const known = places.get(identity);
  if (known === undefined) places.set(identity, [index]);
  else known.push(index);
}

/** The same for what is equal as JSON. */
function identityOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null
    ? `json:${goJson(value)}`
    : typeof value === 'string'
      ? `text:${value}`
      : value;
}

function mergeItem(
  { merged, places }: MergedList,
  item: unknown,
  list: { readonly mergeKey: string; readonly type: TypeRef },
): void {
  if (!isObject(item)) throw statusError(500, '', `cannot merge a list item that is no map: ${goJson(item)}`);
  const { mergeKey, type } = list;
  const value = item[mergeKey];
  if (value === undefined) {
    throw statusError(500, '', `map: ${goMap(item)} does not contain declared merge key: ${mergeKey}`);
  }
  const identity = identityOf(value);
  const found = places.get(identity) ?? [];
  if (item['$patch'] === 'delete') {
    for (const at of found) merged[at] = removed;
    places.delete(identity);
    return;
  }
  const [index] = found;
  if (index === undefined) {
    place(places, identity, merged.length);
    merged.push(mergeObject({}, item, type));
  } else {
    const known = merged[index];
    merged[index] = mergeObject((isObject(known) ? known : {}) as Draft, item, type);
  }
}

/** `$retainKeys` names all fields that may remain: a union's other members go. */
function retainKeys(base: Draft, patch: JsonObject): Draft {
  const retained = patch['$retainKeys'];
  if (retained === undefined) return base;
  if (!Array.isArray(retained)) throw badRequest('$retainKeys patch should be a list');
  const kept = new Set(retained);
  return Object.fromEntries(Object.entries(base).filter(([key]) => kept.has(key)));
}

function applyListDirective(
  merged: Draft,
  patch: JsonObject,
  { key, type }: { key: string; type: TypeRef },
): void {
  if (key.startsWith(deletePrimitives)) {
    const field = key.slice(deletePrimitives.length);
    const gone = new Set(listOf(patch[key]).map(identityOf));
    if (!Array.isArray(merged[field])) return;
    merged[field] = listOf(merged[field]).filter((item) => !gone.has(identityOf(item)));
  } else if (key.startsWith(elementOrder)) {
    const field = key.slice(elementOrder.length);
    const mergeKey = fieldOf(type, field)?.merge?.pk;
    if (Array.isArray(merged[field])) merged[field] = orderList(merged[field], listOf(patch[key]), mergeKey);
  }
}

/**
 * Puts the listed items in the listed order. An item that is not listed (the server's own) stays before the listed one that it
 * stood before, or at the end.
 */
function orderList(
  items: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): readonly unknown[] {
  const keyOf = (item: unknown): unknown =>
    mergeKey !== undefined && isObject(item) ? item[mergeKey] : item;
  const ranks = new Map(
    order.map((wanted, index) => [identityOf(keyOf(wanted)), index] as const).toReversed(),
  );
  const rank = (item: unknown): number => ranks.get(identityOf(keyOf(item))) ?? -1;
  // Before each listed item, and at the end, come those that are not listed and stood there.
  const listed: { readonly item: unknown; readonly rank: number; readonly before: readonly unknown[] }[] = [];
  let waiting: unknown[] = [];
  for (const item of items) {
    const own = rank(item);
    if (own < 0) {
      waiting.push(item);
      continue;
    }
    listed.push({ item, rank: own, before: waiting });
    waiting = [];
  }
  const sorted = listed.toSorted((a, b) => a.rank - b.rank);
  return [...sorted.flatMap(({ item, before }) => [...before, item]), ...waiting];
}

function fieldOf({ schema, typeName }: TypeRef, key: string): SchemaField | undefined {
  return schema.find(typeName)?.fields?.get(key);
}

function fieldType(type: TypeRef, key: string): TypeRef {
  const { type: typeName = '' } = fieldOf(type, key) ?? {};
  return { schema: type.schema, typeName: containerOf(typeName).shape === 'map' ? '' : typeName };
}

function itemType(type: TypeRef, key: string): TypeRef {
  const { type: expression = '' } = fieldOf(type, key) ?? {};
  return { schema: type.schema, typeName: containerOf(expression).item };
}

function isDirective(key: string): boolean {
  return (
    key === '$patch' ||
    key === '$retainKeys' ||
    key.startsWith(deletePrimitives) ||
    key.startsWith(elementOrder)
  );
}

/** What is set anew carries no directives, at any depth. */
function stripDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripDirectives);
  return isObject(value) ? withoutDirectives(value) : value;
}

function withoutDirectives(patch: JsonObject): Draft {
  const plain: Draft = {};
  for (const key of Object.keys(patch)) {
    if (!isDirective(key) && patch[key] !== null) setOwn(plain, key, stripDirectives(patch[key]));
  }
  return plain;
}

/** A map as Go prints it: `map[image:z]`. */
function goMap(object: JsonObject): string {
  const parts = Object.keys(object)
    .toSorted()
    .map((key) => `${key}:${goText(object[key])}`);
  return `map[${parts.join(' ')}]`;
}

function goText(value: unknown): string {
  if (isObject(value)) return goMap(value);
  return Array.isArray(value) ? `[${value.map(goText).join(' ')}]` : String(value);
}

function unknownDirective(directive: unknown): Error {
  return badRequest(`unable to understand directive ${JSON.stringify(directive)}`);
}
