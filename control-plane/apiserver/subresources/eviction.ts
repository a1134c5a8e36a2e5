import { isPodwrightError } from '#base/errors.ts';
import {
  at,
  isObject,
  numberOf,
  objectOf,
  objectsOf,
  stringMapOf,
  stringOf,
  withPath,
} from '#api/wire/json.ts';
import { withDisruptionAllowed } from '#api/pod/disruption.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { forbidden, internalError, notFound, successStatus, tooManyRequests } from '#api/errors/status.ts';
import { formatTime } from '#api/meta/time.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  checkPreconditions,
  deleteObject,
  parseDeleteOptions,
  type DeleteOptions,
} from '#control-plane/apiserver/verbs/delete.ts';
import type { Entry } from '#control-plane/apiserver/objects/registry.ts';
import type { ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, type Style } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { updateObject } from '#control-plane/apiserver/verbs/update.ts';
import type { PostedInput } from './posted-input.ts';

const pods = builtIn('', 'v1', 'pods');
const budgets = builtIn('policy', 'v1', 'poddisruptionbudgets');
const budgetRetrySeconds = 10;
/** Evictions that the controller has not confirmed yet, at most (upstream's MaxDisruptedPodSize). */
const disruptedMax = 2000;
const triesMax = 16;

/** Deletes the pod if its disruption budget has room, and takes that room. @throws {E_API} 404, 409, 429, 500 */
export async function evictPod(
  context: ServerContext,
  input: PostedInput,
  style: Style,
): Promise<ApiResponse> {
  const { namespace, name, object, dryRun } = input;
  const given = isObject(object['deleteOptions']) ? parseDeleteOptions(object['deleteOptions']) : undefined;
  const options = { ...(given ?? { preconditions: {} }), dryRun: dryRun || given?.dryRun === true };
  for (let tries = 1; tries <= triesMax; tries++) {
    const entry = await context.registry.read(pods, namespace, name);
    if (entry === undefined) throw notFound(pods, name);
    checkPreconditions(pods, entry, options);
    const leave = await leaveFor(context, { namespace, pod: entry.object, dryRun: options.dryRun });
    if (await deleteMarked(context, { entry, leave, options })) {
      return objectResponse(201, { ...successStatus(undefined, 201) }, style);
    }
  }
  throw internalError(`pods ${JSON.stringify(name)} changed ${triesMax} times while it was evicted`);
}

/** How the pod may go: as it is whatever happens, or only while it stays as it was read (it may become ready). */
type Leave = 'granted' | 'whileUnchanged';

interface Evicted {
  readonly namespace: string;
  readonly pod: JsonObject;
  readonly dryRun: boolean;
}

/** @throws {E_API} 429, 500 */
async function leaveFor(context: ServerContext, { namespace, pod, dryRun }: Evicted): Promise<Leave> {
  const phase = stringOf(at(pod, 'status.phase'));
  const isGoing = at(pod, 'metadata.deletionTimestamp') !== undefined;
  // They do not count as healthy, so that their going costs nothing.
  if (isGoing || phase === 'Succeeded' || phase === 'Failed') return 'granted';
  if (phase === 'Pending') return 'whileUnchanged';
  const all = await context.registry.readAll(budgets, namespace);
  const covering = all.filter((budget) => covers(budget, pod));
  const [budget] = covering;
  if (budget === undefined) return 'granted';
  if (covering.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (!isReady(pod) && mayUnhealthyGo(budget)) return 'whileUnchanged';
  const podName = stringOf(at(pod, 'metadata.name'));
  const change = (current: JsonObject): JsonObject => spendBudget(current, podName, context.clock.now());
  const name = stringOf(at(budget, 'metadata.name'));
  await updateObject(context, {
    kind: budgets,
    namespace,
    name,
    subresource: 'status',
    dryRun,
    admittedAs: undefined,
    change,
  });
  return 'granted';
}

/** Whether a pod that is not ready may go without room in its budget (policy/v1 unhealthyPodEvictionPolicy). */
export function mayUnhealthyGo(budget: JsonObject): boolean {
  if (at(budget, 'spec.unhealthyPodEvictionPolicy') === 'AlwaysAllow') return true;
  const [desired, current] = ['desiredHealthy', 'currentHealthy'].map((name) =>
    numberOf(at(budget, ['status', name])),
  );
  return desired !== undefined && current !== undefined && desired > 0 && current >= desired;
}

/** @returns false when the pod changed, and may go only as it was. */
async function deleteMarked(
  context: ServerContext,
  {
    entry,
    leave,
    options,
  }: { readonly entry: Entry; readonly leave: Leave; readonly options: DeleteOptions },
): Promise<boolean> {
  const { object } = entry;
  const [namespace, name] = ['namespace', 'name'].map((field) => stringOf(at(object, ['metadata', field])));
  const where = { kind: pods, namespace: namespace ?? '', name: name ?? '' };
  const isOver = ['Succeeded', 'Failed'].includes(stringOf(at(object, 'status.phase')));
  if (options.dryRun || isOver) {
    await deleteObject(context, { ...where, options, user: undefined });
    return true;
  }
  const isBound = leave === 'whileUnchanged' || options.preconditions.resourceVersion !== undefined;
  const marked = await markTarget(context, where, isBound ? versionOf(object) : undefined);
  if (marked === undefined) return false;
  const preconditions = isBound
    ? { ...options.preconditions, resourceVersion: marked }
    : options.preconditions;
  try {
    await deleteObject(context, { ...where, options: { ...options, preconditions }, user: undefined });
    return true;
  } catch (error) {
    if (isBound && isPodwrightError(error, 'E_API') && error.detail['reason'] === 'Conflict') return false;
    throw error;
  }
}

function covers(budget: JsonObject, pod: JsonObject): boolean {
  const selector = at(budget, 'spec.selector');
  if (!isObject(selector)) return false;
  // Decoded on its way in, hence of this shape.
  return matchesLabels(
    labelSelectorFromObject(selector as LabelSelector),
    stringMapOf(at(pod, 'metadata.labels')),
  );
}

/** The budget with one disruption less. Pure. @throws {E_API} 429 when there is none left */
export function spendBudget(budget: JsonObject, podName: string, nowMs: number): JsonObject {
  const name = stringOf(at(budget, 'metadata.name'));
  const status = objectOf(budget['status']);
  if (numberOf(status['observedGeneration']) < numberOf(at(budget, 'metadata.generation'))) {
    throw blocked(
      `The disruption budget ${name} is still being processed by the server.`,
      budgetRetrySeconds,
    );
  }
  const allowed = numberOf(status['disruptionsAllowed']);
  if (allowed <= 0) {
    const [needs, has] = [numberOf(status['desiredHealthy']), numberOf(status['currentHealthy'])];
    throw blocked(
      `The disruption budget ${name} needs ${needs} healthy pods and has ${has} currently`,
      undefined,
    );
  }
  const before = stringMapOf(status['disruptedPods']);
  if (Object.keys(before).length > disruptedMax) {
    const message = 'DisruptedPods map too big - too many evictions not confirmed by PDB controller';
    throw forbidden(budgets, name, message);
  }
  const disruptedPods = { ...before, [podName]: formatTime(nowMs) };
  const spent = { ...status, disruptedPods, disruptionsAllowed: allowed - 1 };
  return { ...budget, status: allowed > 1 ? spent : withDisruptionAllowed(spent, nowMs) };
}

/** client-go waits out a Retry-After by itself, several times; kubectl drain, told nothing, asks again as long as it may. */
function blocked(message: string, retryAfterSeconds: number | undefined): Error {
  const text = "Cannot evict pod as it would violate the pod's disruption budget.";
  return tooManyRequests(text, retryAfterSeconds, [{ reason: 'DisruptionBudget', message }]);
}

/** The version of the marked pod; undefined when `version` is given and the pod is no longer of it. */
async function markTarget(
  context: ServerContext,
  where: { readonly kind: Kind; readonly namespace: string; readonly name: string },
  version: string | undefined,
): Promise<string | undefined> {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: formatTime(context.clock.now()),
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
  };
  let isOther = false;
  const change = (pod: JsonObject): JsonObject => {
    isOther = version !== undefined && versionOf(pod) !== version;
    const others = objectsOf(at(pod, 'status.conditions')).filter(({ type }) => type !== condition.type);
    return isOther ? pod : withPath(pod, 'status.conditions', [...others, condition]);
  };
  const { object } = await updateObject(context, {
    ...where,
    ...{ dryRun: false, admittedAs: undefined, change },
  });
  return isOther ? undefined : versionOf(object);
}

function isReady(pod: JsonObject): boolean {
  return objectsOf(at(pod, 'status.conditions')).some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );
}

function versionOf(object: JsonObject): string {
  return stringOf(at(object, 'metadata.resourceVersion'));
}
