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
import { usageReader } from '#api/quota/usage.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionContext, AdmissionAttributes, AdmissionPlugin } from './admission.ts';
import { resizesPod } from './pod.ts';

const quotas = builtIn('', 'v1', 'resourcequotas');

/** What is made or grows has room in the quotas of its namespace. */
export const resourceQuota: AdmissionPlugin = {
  name: 'ResourceQuota',
  handles: (attributes) => (writesCounted(attributes) || resizesPod(attributes) ? 'mayWait' : 'no'),
  validate: (context, { attributes: { kind, namespace }, object = {}, old }) =>
    takeRoom(context, { kind, namespace, object, before: old }),
};

function writesCounted({ operation, kind, subresource }: AdmissionAttributes): boolean {
  if (subresource !== '' || !kind.namespaced || rulesOf(kind).isStored === false) return false;
  return operation === 'create' || (operation === 'update' && rulesOf(kind).growsByUpdate === true);
}

interface Subject {
  readonly kind: Kind;
  readonly namespace: string;
  readonly object: JsonObject;
  /** The object as it is stored: what it takes already is not asked for again. */
  readonly before?: JsonObject | undefined;
}

/**
 * Refuses an object for which a quota of its namespace has no room: the number of its kind, and of pods what they request and
 * are limited to. Counted from the objects that are there, so that whoever is let in holds its namespace's turn until it is
 * stored or given up: whoever asked disposes of it. Undefined where no quota counts the object. @throws {E_API} 403
 */
async function takeRoom(context: AdmissionContext, subject: Subject): Promise<Disposable | undefined> {
  const { kind, object, namespace } = subject;
  const all = await context.registry.readAll(quotas, namespace);
  const present = all.filter(
    (quota) =>
      isInScope(quota, kind, object) &&
      Object.keys(hardOf(quota)).some((name) => usageReader(kind, name) !== undefined),
  );
  if (present.length === 0) return undefined;
  using undo = new DisposableStack();

  const turn = undo.use(await context.quotaTurns.take(namespace));
  const others = await context.registry.readAll(kind, namespace);
  for (const quota of present) {
    const counted = others.filter((other) => isInScope(quota, kind, other));
    checkQuota(quota, subject, counted);
  }
  undo.move();
  return turn;
}

function checkQuota(
  quota: JsonObject,
  { kind, object, before }: Subject,
  others: readonly JsonObject[],
): void {
  const quotaName = stringOf(at(quota, 'metadata.name'));
  const name = nameOrPrefix(object);
  const exceeded: {
    readonly name: string;
    readonly requested: Quantity;
    readonly used: Quantity;
    readonly limit: Quantity;
  }[] = [];
  for (const [resource, hard] of Object.entries(hardOf(quota)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const read = usageReader(kind, resource);
    if (read === undefined) continue;
    const { total, missing } = read(object);
    if (missing.length > 0) {
      throw forbidden(
        kind,
        name,
        `failed quota: ${quotaName}: must specify ${resource} for: ${missing.join(',')}`,
      );
    }
    const requested = before === undefined ? total : subtractQuantity(total, read(before).total);
    if (requested.nanos <= 0n) continue; // Who adds nothing is not refused for what others take.
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
