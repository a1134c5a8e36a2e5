import { cloneJson, goJson, isObject, listOf, setOwn, type Draft } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { containerOf, type SchemaField, type TypeRef } from '#api/schema/type-source.ts';
import { badRequest, statusError } from '#api/errors/status.ts';

/**
 * Strategic merge patch: like a merge patch, but lists that have a merge key merge by it, lists of scalars marked so merge as sets,
 * and directives steer ($patch, $retainKeys, $setElementOrder/f, $deleteFromPrimitiveList/f). The base is not changed.
 * Source: k8s.io/apimachinery strategicpatch; which list merges how: the schema (`SchemaField.merge`).
 * @throws {E_API} 400 for malformed $retainKeys, 500 for another directive or a list item without its merge key (as kube-apiserver answers)
 */
export function applyStrategicPatch(type: TypeRef, base: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(cloneJson(base) as Draft, patch, type);
}

const deletePrimitives = '$deleteFromPrimitiveList/';
const elementOrder = '$setElementOrder/';
/** Items of a list that an error shows at most. */
const toldItemsMax = 100;

/** Changes `base`, which is part of a copy already. `type` has no name where the schema does not say what is there. */
function mergeObject(base: Draft, patch: JsonObject, type: TypeRef): Draft {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined) throw unknownDirective(directive, patch);
  const merged = retainKeys(base, patch);
  const live = liveLists(merged, patch);
  for (const key of Object.keys(patch)) {
    if (isDirective(key)) continue;
    const value = patch[key];
    checkOrder(patch, { key, type });
    if (value === null) delete merged[key];
    else
      setOwn(
        merged,
        key,
        mergeField(Object.hasOwn(merged, key) ? merged[key] : undefined, value, { type, key, patch }),
      );
  }
  for (const key of Object.keys(patch)) applyListDirective(merged, patch, { key, type, live });
  return merged;
}

/** The lists as they stood whose order the patch sets. */
function liveLists(base: JsonObject, patch: JsonObject): ReadonlyMap<string, readonly unknown[]> {
  const fields = Object.keys(patch)
    .filter((key) => key.startsWith(elementOrder))
    .map((key) => key.slice(elementOrder.length));
  return new Map(fields.map((field) => [field, listOf(base[field])]));
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

/** Lists of scalars merge as sets. */
function mergePrimitives(base: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const known = new Set(base.map(identityOf));
  const fresh = patch.filter((item) => !known.has(identityOf(item)));
  return orderMerged([...base, ...new Set(fresh)], { wanted: patch, live: base });
}

function mergeList(
  base: readonly unknown[],
  patch: readonly unknown[],
  list: { readonly mergeKey: string; readonly type: TypeRef },
): readonly unknown[] {
  // One item that says so replaces the whole list; of itself nothing is taken.
  if (patch.some((item) => isObject(item) && item['$patch'] === 'replace'))
    return patch.filter((item) => !isObject(item) || item['$patch'] === undefined).map(stripDirectives);
  const merged: (unknown | typeof removed)[] = [...base];
  const places = new Map<unknown, number[]>();
  for (const [index, item] of merged.entries()) {
    if (isObject(item)) place(places, identityOf(item[list.mergeKey]), index);
  }
  for (const item of patch) mergeItem({ merged, places }, item, list);
  const { mergeKey } = list;
  const kept = merged.filter((item) => item !== removed);
  const wanted = patch.filter((item) => isObject(item) && item['$patch'] !== 'delete');
  return orderMerged(kept, { wanted, live: base, mergeKey });
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
  const directive = item['$patch'];
  if (directive === 'merge') {
    throw statusError(500, '', 'merging lists cannot yet be specified in the patch');
  }
  const identity = identityOf(value);
  const found = places.get(identity) ?? [];
  if (directive === 'delete') {
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
  { key, type, live: lists }: { key: string; type: TypeRef; live: ReadonlyMap<string, readonly unknown[]> },
): void {
  if (key.startsWith(deletePrimitives)) {
    const field = key.slice(deletePrimitives.length);
    const gone = new Set(listOf(patch[key]).map(identityOf));
    if (!Array.isArray(merged[field])) return;
    merged[field] = listOf(merged[field]).filter((item) => !gone.has(identityOf(item)));
  } else if (key.startsWith(elementOrder)) {
    const field = key.slice(elementOrder.length);
    const mergeKey = fieldOf(type, field)?.merge?.pk;
    const live = lists.get(field) ?? [];
    const list = merged[field];
    if (Array.isArray(list))
      merged[field] = orderMerged(list, { wanted: listOf(patch[key]), live, mergeKey });
  }
}

interface ListOrder {
  /** The order that the patch, or its directive, has. */
  readonly wanted: readonly unknown[];
  /** The order of the list that was there. */
  readonly live: readonly unknown[];
  readonly mergeKey?: string | undefined;
}

/**
 * The items of a merged list in their order: those of the patch as it has them, the server's own as they stood, each of these as soon as
 * the next of the patch's stood behind it. So what the patch brings anew comes before what it does not name (strategicpatch's
 * normalizeElementOrder, which clients count on: the first container is that of the patch).
 */
function orderMerged(items: readonly unknown[], { wanted, live, mergeKey }: ListOrder): readonly unknown[] {
  const keyOf = (item: unknown): unknown =>
    identityOf(mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const ranksOf = (list: readonly unknown[]): ReadonlyMap<unknown, number> =>
    new Map(list.map((item, index) => [keyOf(item), index] as const).toReversed());
  const wantedRanks = ranksOf(wanted);
  const liveRanks = ranksOf(live);
  const byRank = (ranks: ReadonlyMap<unknown, number>) => (a: unknown, b: unknown) =>
    (ranks.get(keyOf(a)) ?? Infinity) < (ranks.get(keyOf(b)) ?? Infinity) ? -1 : 1;
  const ofPatch = items.filter((item) => wantedRanks.has(keyOf(item))).toSorted(byRank(wantedRanks));
  const ofServer = items.filter((item) => !wantedRanks.has(keyOf(item)));
  const ordered: unknown[] = [];
  let next = 0;
  for (const item of ofPatch) {
    const rank = liveRanks.get(keyOf(item)) ?? -1;
    while (next < ofServer.length && (liveRanks.get(keyOf(ofServer[next])) ?? Infinity) < rank) {
      ordered.push(ofServer[next++]);
    }
    ordered.push(item);
  }
  return [...ordered, ...ofServer.slice(next)];
}

/** The items of a list in the patch must stand as its order directive has them, which names them all. */
function checkOrder(patch: JsonObject, { key, type }: { key: string; type: TypeRef }): void {
  const order = patch[`${elementOrder}${key}`];
  const items = patch[key];
  if (!Array.isArray(order) || !Array.isArray(items) || order.length === 0) return;
  const mergeKey = fieldOf(type, key)?.merge?.pk;
  const keyOf = (item: unknown): unknown =>
    identityOf(mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const steered = (item: unknown): boolean => isObject(item) && item['$patch'] !== undefined;
  let at = 0;
  for (const item of items.filter((one) => !steered(one))) {
    while (at < order.length && keyOf(order[at]) !== keyOf(item)) at++;
    if (at++ < order.length) continue;
    const text = `The order in patch list:\n${goText(items.slice(0, toldItemsMax))}\n doesn't match $setElementOrder list:\n${goText(order.slice(0, toldItemsMax))}\n`;
    throw statusError(500, '', text);
  }
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
export function goMap(object: JsonObject): string {
  const parts = Object.keys(object)
    .toSorted()
    .map((key) => `${key}:${goText(object[key])}`);
  return `map[${parts.join(' ')}]`;
}

function goText(value: unknown): string {
  if (isObject(value)) return goMap(value);
  return Array.isArray(value) ? `[${value.map(goText).join(' ')}]` : String(value);
}

function unknownDirective(directive: unknown, patch: JsonObject): Error {
  return statusError(500, '', `unknown patch type: ${goText(directive)} in map: ${goMap(patch)}`);
}
