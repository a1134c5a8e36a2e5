import { at, nameOrPrefix, objectOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { isSameKind, rulesOf } from '#api/kinds/rules-of.ts';
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
import { unsaidOf } from '#api/quota/pod-usage.ts';
import { isInScope, selectorsOf, takesIn } from '#api/quota/scope.ts';
import { claimSurroundings } from '#api/quota/claim-surroundings.ts';
import type { ClaimSurroundings } from '#api/quota/claim-usage.ts';
import {
  isClaimOfDevices,
  isCountedBy,
  kindsOfQuotaResource,
  mayTakeMore,
  usageIn,
  usageOf,
  type Usage,
} from '#api/quota/usage.ts';
import { bareError, conflict, forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { Entry } from '#control-plane/apiserver/objects/registry.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  Handling,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Beside, Taken } from '#control-plane/apiserver/chain/admission/held.ts';
import { pods, resizesPod } from '#control-plane/apiserver/chain/admission/pods/pod.ts';
import { mustBeCovered, renderScope, type LimitedResource, type MustBeCovered } from './limited-resources.ts';

const quotas = builtIn('', 'v1', 'resourcequotas');
const claims = builtIn('resource.k8s.io', 'v1', 'resourceclaims');
const classes = builtIn('resource.k8s.io', 'v1', 'deviceclasses');
/** Nobody counts them, however many there are (upstream's DefaultIgnoredResources). */
const events = builtIn('', 'v1', 'events');

/** What is made or grows has room in the quotas of its namespace, and what is limited by configuration is covered by one of them. */
export function resourceQuota(limits: readonly LimitedResource[] = []): AdmissionPlugin {
  return {
    name: 'ResourceQuota',
    handles: handlingOf,
    mustWait: ({ attributes: { kind }, object = {}, old = {} }) => mayTakeMore(kind, old, object),
    validate: (context, { attributes: { kind, namespace }, object = {}, old }) => {
      if (limits.length === 0 && context.registry.isKnownEmpty(quotas, namespace)) return undefined;
      if (old !== undefined && !mayTakeMore(kind, old, object)) return undefined;
      const nowMs = context.clock.now();
      const usage = usageOf(kind, object, nowMs);
      const covered = mustBeCovered(limits, { kind, object, usage });
      return takeRoom(context, { kind, namespace, object, usage, before: old, covered, nowMs });
    },
  };
}

function handlingOf(attributes: AdmissionAttributes): Handling {
  const { operation, kind, subresource } = attributes;
  if (resizesPod(attributes)) return 'mayWait';
  if (subresource !== '' || !kind.namespaced || rulesOf(kind).isStored === false) return 'no';
  if (operation === 'create') return isSameKind(kind, events) ? 'no' : 'mayWait';
  return operation === 'update' && rulesOf(kind).growsByUpdate === true ? 'seldomWaits' : 'no';
}

interface Subject {
  readonly kind: Kind;
  readonly namespace: string;
  readonly object: JsonObject;
  readonly usage: Usage;
  /** The object as it is stored: what it takes already is not asked for again. */
  readonly before: JsonObject | undefined;
  readonly covered: MustBeCovered;
  readonly nowMs: number;
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
  const { namespace } = subject;
  const first = (await registry.readEntries(quotas, namespace)).entries;
  checkCovered(subject, first);
  if (countedBy(subject, first).length === 0) return undefined;
  using undo = new DisposableStack();

  const turn = undo.use(await context.quotaTurns.take(namespace));
  // Quotas and what they count as they are at one revision.
  const { entries, revision } = await registry.readEntries(quotas, namespace);
  checkCovered(subject, entries);
  const counted = countedBy(subject, entries);
  const others = await othersOf(context, subject, { counted, revision });
  const besides = counted.flatMap((entry) => {
    const used = planRoom(entry.object, subject, others);
    return used === undefined ? [] : [besideOf(context, entry, used)];
  });
  const [some] = besides;
  if (some === undefined) return undefined;
  undo.move();
  const beside = {
    conflict: some.conflict,
    ops: besides.flatMap(({ ops }) => ops),
    expect: besides.flatMap(({ expect }) => expect),
  };
  return { beside, [Symbol.dispose]: () => turn[Symbol.dispose]() };
}

/** Whatever takes of the same as the object. */
interface Others {
  readonly all: readonly { readonly kind: Kind; readonly object: JsonObject }[];
  readonly around: ClaimSurroundings | undefined;
}

/** The others of its kind, and where a quota counts pods and claims by one name those of both. */
async function othersOf(
  { registry }: AdmissionContext,
  { kind, namespace, nowMs }: Subject,
  { counted, revision }: { readonly counted: readonly Entry[]; readonly revision: number },
): Promise<Others> {
  const read = async (of: Kind): Promise<readonly JsonObject[]> =>
    (await registry.readEntries(of, of.namespaced ? namespace : '', revision)).entries.map(
      ({ object }) => object,
    );
  const isShared = counted.some(({ object }) =>
    namesOf(object, kind).some((name) => kindsOfQuotaResource(name).length > 1),
  );
  if (!isShared) return { all: (await read(kind)).map((object) => ({ kind, object })), around: undefined };
  const [allPods, allClaims, allClasses] = [await read(pods), await read(claims), await read(classes)];
  const byName = (list: readonly JsonObject[], name: string): JsonObject | undefined =>
    list.find((one) => at(one, 'metadata.name') === name);
  const around = claimSurroundings({
    classNamed: (name) => byName(allClasses, name),
    podNamed: (_namespace, name) => byName(allPods, name),
    claimsOf: () => allClaims,
    nowMs,
  });
  const all = [
    ...allPods.map((object) => ({ kind: pods, object })),
    ...allClaims.map((object) => ({ kind: claims, object })),
  ];
  return { all, around };
}

/** The quotas that the object is in the scopes of, and that limit something that its kind takes. */
function countedBy({ kind, object }: Subject, all: readonly Entry[]): readonly Entry[] {
  return all.filter(({ object: quota }) => isInScope(quota, kind, object) && namesOf(quota, kind).length > 0);
}

/** What the quota limits that objects of the kind take of, sorted. */
function namesOf(quota: JsonObject, kind: Kind): readonly string[] {
  return Object.keys(hardOf(quota))
    .filter((name) => isCountedBy(kind, name))
    .toSorted();
}

/** @throws {E_API} 403 where containers do not say what is limited, and 403 or 500 where no quota covers what is limited by configuration */
function checkCovered(subject: Subject, all: readonly Entry[]): void {
  const { kind, object, covered, before, usage, nowMs } = subject;
  const restricted = new Set<string>();
  for (const { object: quota } of countedBy(subject, all)) {
    const names = namesOf(quota, kind);
    const unsaid = isSameKind(kind, pods) ? unsaidOf(object, names) : undefined;
    if (unsaid !== undefined)
      throw forbidden(kind, nameOrPrefix(object), `failed quota: ${quotaName(quota)}: ${unsaid}`);
    for (const name of names) restricted.add(name);
  }
  if (before !== undefined && !grows(usage, usageOf(kind, before, nowMs))) return;
  const bare = covered.names.filter((name) => !restricted.has(name));
  if (bare.length > 0)
    throw forbidden(kind, nameOrPrefix(object), `insufficient quota to consume: ${bare.join(',')}`);
  const scopes = new Set(
    all
      .flatMap(({ object: quota }) => selectorsOf(quota))
      .filter((selector) => takesIn(selector, kind, object))
      .map(({ scope }) => scope),
  );
  const open = covered.scopes.filter(({ scope }) => !scopes.has(scope));
  if (open.length === 0) return;
  throw bareError(`insufficient quota to match these scopes: [${open.map(renderScope).join(' ')}]`);
}

function grows(after: Usage, before: Usage): boolean {
  return [...after].some(([name, amount]) => compareQuantity(amount, usageIn(before, name)) > 0);
}

function besideOf({ registry }: AdmissionContext, entry: Entry, used: Usage): Beside {
  return {
    ...registry.replacing(quotas, entry, withUsed(entry.object, used)),
    conflict: () => conflict(quotas, stringOf(at(entry.object, 'metadata.name'))),
  };
}

/** The quota once this much is used; of what else it limits, its status says what it said. */
function withUsed(quota: JsonObject, taken: Usage): JsonObject {
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
 * others take. What an object took while the quota did not count it is asked for anew. Pure. @throws {E_API} 403
 */
function planRoom(
  quota: JsonObject,
  { kind, object, usage: own, before, nowMs }: Subject,
  { all, around }: Others,
): Usage | undefined {
  const usage = isClaimOfDevices(kind) ? usageOf(kind, object, nowMs, around) : own;
  const was =
    before !== undefined && isInScope(quota, kind, before)
      ? usageOf(kind, before, nowMs, around)
      : new Map<string, Quantity>();
  const asked = namesOf(quota, kind).map((name) => ({
    name,
    limit: parseQuantity(stringOf(hardOf(quota)[name])),
    requested: subtractQuantity(usageIn(usage, name), usageIn(was, name)),
  }));
  if (asked.every(({ requested }) => requested.nanos <= 0n)) return undefined;
  const others = all
    .filter((other) => isInScope(quota, other.kind, other.object))
    .map((other) => usageOf(other.kind, other.object, nowMs, around));
  const sums = new Map<string, Quantity>();
  const exceeded: Exceeded[] = [];
  for (const each of asked) {
    const used = others.map((other) => usageIn(other, each.name)).reduce(addQuantity, zeroQuantity);
    const sum = addQuantity(used, each.requested);
    sums.set(each.name, sum);
    if (each.requested.nanos > 0n && compareQuantity(sum, each.limit) > 0) exceeded.push({ ...each, used });
  }
  if (exceeded.length > 0) throw forbidden(kind, nameOrPrefix(object), causeOf(quota, exceeded));
  return sums;
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
