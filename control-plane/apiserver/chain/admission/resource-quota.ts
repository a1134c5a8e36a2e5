import { at, nameOrPrefix, objectOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  parseQuantity,
  subtractQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { isInScope } from '#api/quota/scope.ts';
import { mayTakeMore, usageReader, type ReadUsage } from '#api/quota/usage.ts';
import { conflict, forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { Entry } from '#control-plane/apiserver/objects/registry.ts';
import type { AdmissionAttributes, AdmissionContext, AdmissionPlugin, Handling } from './admission.ts';
import type { Beside, Taken } from './held.ts';
import { resizesPod } from './pod.ts';

const quotas = builtIn('', 'v1', 'resourcequotas');

/** What is made or grows has room in the quotas of its namespace. */
export const resourceQuota: AdmissionPlugin = {
  name: 'ResourceQuota',
  handles: handlingOf,
  mustWait: ({ attributes: { kind }, object = {}, old = {} }) => mayTakeMore(kind, old, object),
  validate: (context, { attributes: { kind, namespace }, object = {}, old }) =>
    old !== undefined && !mayTakeMore(kind, old, object)
      ? undefined
      : takeRoom(context, { kind, namespace, object, before: old }),
};

function handlingOf(attributes: AdmissionAttributes): Handling {
  const { operation, kind, subresource } = attributes;
  if (resizesPod(attributes)) return 'mayWait';
  if (subresource !== '' || !kind.namespaced || rulesOf(kind).isStored === false) return 'no';
  if (operation === 'create') return 'mayWait';
  return operation === 'update' && rulesOf(kind).growsByUpdate === true ? 'seldomWaits' : 'no';
}

interface Subject {
  readonly kind: Kind;
  readonly namespace: string;
  readonly object: JsonObject;
  /** The object as it is stored: what it takes already is not asked for again. */
  readonly before?: JsonObject | undefined;
}

/**
 * Refuses an object for which a quota of its namespace has no room: the number of its kind, and of pods what they request and are limited
 * to. What is used is counted from the objects that are there, and written into the quota's status in the transaction of the object, if
 * the quota is still the one of that count: whoever else was let in since had written it (docs/decisions/0019-quotas-in-the-store.md).
 * The writers of one server take turns, so as not to lose against each other. Undefined where no quota has the object take anything.
 * @throws {E_API} 403
 */
async function takeRoom(context: AdmissionContext, subject: Subject): Promise<Taken | undefined> {
  const { registry } = context;
  const { kind, namespace } = subject;
  if (countedBy(subject, (await registry.readEntries(quotas, namespace)).entries).length === 0)
    return undefined;
  using undo = new DisposableStack();

  const turn = undo.use(await context.quotaTurns.take(namespace));
  // Quotas and what they count as they are at one revision.
  const { entries, revision } = await registry.readEntries(quotas, namespace);
  const others = (await registry.readEntries(kind, namespace, revision)).entries.map(({ object }) => object);
  const besides = countedBy(subject, entries).flatMap((entry) => {
    const used = planRoom(entry.object, subject, others);
    return used === undefined ? [] : [besideOf(context, entry, used)];
  });
  const [first] = besides;
  if (first === undefined) return undefined;
  undo.move();
  const beside = {
    conflict: first.conflict,
    ops: besides.flatMap(({ ops }) => ops),
    expect: besides.flatMap(({ expect }) => expect),
  };
  return { beside, [Symbol.dispose]: () => turn[Symbol.dispose]() };
}

function countedBy({ kind, object }: Subject, all: readonly Entry[]): readonly Entry[] {
  return all.filter(
    ({ object: quota }) =>
      isInScope(quota, kind, object) &&
      Object.keys(hardOf(quota)).some((name) => usageReader(kind, name) !== undefined),
  );
}

function besideOf({ registry }: AdmissionContext, entry: Entry, used: ReadonlyMap<string, Quantity>): Beside {
  return {
    ...registry.replacing(quotas, entry, withUsed(entry.object, used)),
    conflict: () => conflict(quotas, stringOf(at(entry.object, 'metadata.name'))),
  };
}

/** The quota once this much is used; of what else it limits, its status says what it said. */
function withUsed(quota: JsonObject, taken: ReadonlyMap<string, Quantity>): JsonObject {
  const status = objectOf(quota['status']);
  const [hard, used] = [{ ...objectOf(status['hard']) }, { ...objectOf(status['used']) }];
  for (const [name, quantity] of taken) {
    const limit = hardOf(quota)[name];
    if (limit !== undefined) hard[name] = limit;
    used[name] = formatQuantity(quantity);
  }
  return { ...quota, status: { ...status, hard, used } };
}

/**
 * What is used of the quota with the object, by what is limited; undefined where it takes nothing: who adds nothing is not refused for what
 * others take. Pure. @throws {E_API} 403
 */
function planRoom(
  quota: JsonObject,
  { kind, object, before }: Subject,
  all: readonly JsonObject[],
): ReadonlyMap<string, Quantity> | undefined {
  const name = nameOrPrefix(object);
  const asked: Asked[] = [];
  for (const [resource, hard] of Object.entries(hardOf(quota)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const read = usageReader(kind, resource);
    if (read === undefined) continue;
    const { total, missing } = read(object);
    if (missing.length > 0) {
      const cause = `failed quota: ${quotaName(quota)}: must specify ${resource} for: ${missing.join(',')}`;
      throw forbidden(kind, name, cause);
    }
    const requested = before === undefined ? total : subtractQuantity(total, read(before).total);
    asked.push({ resource, read, limit: parseQuantity(stringOf(hard)), requested });
  }
  if (asked.every(({ requested }) => requested.nanos <= 0n)) return undefined;
  const others = all.filter((other) => isInScope(quota, kind, other));
  const sums = new Map<string, Quantity>();
  const exceeded: Exceeded[] = [];
  for (const { resource, read, limit, requested } of asked) {
    const used = others.map((other) => read(other).total).reduce(addQuantity, zeroQuantity);
    const sum = addQuantity(used, requested);
    sums.set(resource, sum);
    if (requested.nanos > 0n && compareQuantity(sum, limit) > 0) {
      exceeded.push({ name: resource, requested, used, limit });
    }
  }
  if (exceeded.length > 0) throw forbidden(kind, name, causeOf(quota, exceeded));
  return sums;
}

/** What an object takes of what a quota limits. */
interface Asked {
  readonly resource: string;
  readonly read: ReadUsage;
  readonly limit: Quantity;
  readonly requested: Quantity;
}

interface Exceeded {
  readonly name: string;
  readonly requested: Quantity;
  readonly used: Quantity;
  readonly limit: Quantity;
}

function causeOf(quota: JsonObject, exceeded: readonly Exceeded[]): string {
  const list = (field: 'requested' | 'used' | 'limit'): string =>
    exceeded.map((each) => `${each.name}=${formatQuantity(each[field])}`).join(',');
  return `exceeded quota: ${quotaName(quota)}, requested: ${list('requested')}, used: ${list('used')}, limited: ${list('limit')}`;
}

function quotaName(quota: JsonObject): string {
  return stringOf(at(quota, 'metadata.name'));
}

function hardOf(quota: JsonObject): JsonObject {
  return objectOf(at(quota, 'spec.hard'));
}
