import { at, objectOf, stringOf } from '#api/json.ts';
import type { Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  parseQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/quantity.ts';
import { forbidden } from '#api/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { isRunningOrWill, podUsage } from './pod-usage.ts';

const quotas = builtIn('', 'v1', 'resourcequotas');

interface Subject {
  readonly kind: Kind;
  readonly namespace: string;
  readonly object: JsonObject;
}

/**
 * Refuses an object for which a quota of its namespace has no room: the number of its kind, and of pods what they request and
 * are limited to. Counted from the objects that are there. @throws {E_API} 403
 */
export async function checkQuotas(context: ServerContext, subject: Subject): Promise<void> {
  const present = await context.registry.readAll(quotas, subject.namespace);
  if (present.length === 0) return;
  const isPod = subject.kind.kind === 'Pod';
  const relevant = present.some((quota) =>
    Object.keys(hardOf(quota)).some((name) => readerOf(subject.kind, name) !== undefined),
  );
  if (!relevant) return;
  const all = await context.registry.readAll(subject.kind, subject.namespace);
  const others = isPod ? all.filter(isRunningOrWill) : all;
  for (const quota of present) checkQuota(quota, subject, others);
}

type ReadUsage = (object: JsonObject) => { readonly total: Quantity; readonly missing: readonly string[] };

const one: Quantity = parseQuantity('1');

/** How much of the named resource an object takes; undefined when objects of the kind take none. */
function readerOf(kind: Kind, name: string): ReadUsage | undefined {
  const counted =
    kind.group === '' ? [kind.resource, `count/${kind.resource}`] : [`count/${kind.resource}.${kind.group}`];
  if (counted.includes(name)) return () => ({ total: one, missing: [] });
  if (kind.kind !== 'Pod') return undefined;
  const [, field = 'requests', resource = ''] =
    /^(?:(requests|limits)\.)?(cpu|memory|ephemeral-storage)$/.exec(name) ?? [];
  if (resource === '') return undefined;
  return (pod) => podUsage(pod, field === 'limits' ? 'limits' : 'requests', resource);
}

function checkQuota(quota: JsonObject, { kind, object }: Subject, others: readonly JsonObject[]): void {
  const quotaName = stringOf(at(quota, 'metadata.name'));
  const name = stringOf(at(object, 'metadata.name')) || stringOf(at(object, 'metadata.generateName'));
  const exceeded: {
    readonly name: string;
    readonly requested: Quantity;
    readonly used: Quantity;
    readonly limit: Quantity;
  }[] = [];
  for (const [resource, hard] of Object.entries(hardOf(quota)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const read = readerOf(kind, resource);
    if (read === undefined) continue;
    const { total: requested, missing } = read(object);
    if (missing.length > 0) {
      throw forbidden(
        kind,
        name,
        `failed quota: ${quotaName}: must specify ${resource} for: ${missing.join(',')}`,
      );
    }
    const used = others.map((other) => read(other).total).reduce(addQuantity, zeroQuantity);
    const limit = parseQuantity(stringOf(hard));
    if (compareQuantity(addQuantity(used, requested), limit) > 0)
      exceeded.push({ name: resource, requested, used, limit });
  }
  if (exceeded.length === 0) return;
  const list = (field: 'requested' | 'used' | 'limit'): string =>
    exceeded.map((each) => `${each.name}=${formatQuantity(each[field])}`).join(',');
  const cause = `exceeded quota: ${quotaName}, requested: ${list('requested')}, used: ${list('used')}, limited: ${list('limit')}`;
  throw forbidden(kind, name, cause);
}

function hardOf(quota: JsonObject): JsonObject {
  return objectOf(at(quota, 'spec.hard'));
}
