import { at, isObject, numberOf, objectOf, objectsOf, stringMapOf, stringOf, withPath } from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';
import type { LabelSelector } from '#api/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/selector.ts';
import { internalError, notFound, successStatus, tooManyRequests } from '#api/status.ts';
import { formatTime } from '#api/time.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { deleteObject, parseDeleteOptions } from '#control-plane/apiserver/delete.ts';
import type { ApiResponse } from '#control-plane/apiserver/request.ts';
import { objectResponse, type Style } from '#control-plane/apiserver/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { updateObject } from '#control-plane/apiserver/update.ts';
import type { PostedInput } from './posted-input.ts';

const pods = builtIn('', 'v1', 'pods');
const budgets = builtIn('policy', 'v1', 'poddisruptionbudgets');
const budgetRetrySeconds = 10;

/** Deletes the pod if its disruption budget has room, and takes that room. @throws {E_API} 404, 429, 500 */
export async function evictPod(
  context: ServerContext,
  input: PostedInput,
  style: Style,
): Promise<ApiResponse> {
  const { namespace, name, object, dryRun } = input;
  const entry = await context.registry.read(pods, namespace, name);
  if (entry === undefined) throw notFound(pods, name);
  const given = isObject(object['deleteOptions']) ? parseDeleteOptions(object['deleteOptions']) : undefined;
  const options = { ...(given ?? { preconditions: {} }), dryRun: dryRun || given?.dryRun === true };
  const isOver = ['Succeeded', 'Failed'].includes(stringOf(at(entry.object, 'status.phase')));
  const isGoing = at(entry.object, 'metadata.deletionTimestamp') !== undefined;
  if (!isOver && !isGoing)
    await takeBudget(context, { namespace, pod: entry.object, dryRun: options.dryRun });
  if (!options.dryRun && !isOver) await markTarget(context, namespace, name);
  await deleteObject(context, { kind: pods, namespace, name, options });
  return objectResponse(201, { ...successStatus(undefined, 201) }, style);
}

async function takeBudget(
  context: ServerContext,
  input: { readonly namespace: string; readonly pod: JsonObject; readonly dryRun: boolean },
): Promise<void> {
  const { namespace, pod, dryRun } = input;
  const all = await context.registry.readAll(budgets, namespace);
  const covering = all.filter((budget) => covers(budget, pod));
  const [budget] = covering;
  if (budget === undefined) return;
  if (covering.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const podName = stringOf(at(pod, 'metadata.name'));
  const change = (current: JsonObject): JsonObject => spendBudget(current, podName, context.clock.now());
  const name = stringOf(at(budget, 'metadata.name'));
  await updateObject(context, {
    kind: budgets,
    namespace,
    name,
    subresource: 'status',
    dryRun,
    change,
    isOwn: true,
  });
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
    throw blocked(`The disruption budget ${name} is still being processed by the server.`);
  }
  const allowed = numberOf(status['disruptionsAllowed']);
  if (allowed <= 0) {
    const [needs, has] = [numberOf(status['desiredHealthy']), numberOf(status['currentHealthy'])];
    throw blocked(`The disruption budget ${name} needs ${needs} healthy pods and has ${has} currently`);
  }
  const disruptedPods = { ...objectOf(status['disruptedPods']), [podName]: formatTime(nowMs) };
  return { ...budget, status: { ...status, disruptedPods, disruptionsAllowed: allowed - 1 } };
}

function blocked(message: string): Error {
  const text = "Cannot evict pod as it would violate the pod's disruption budget.";
  return tooManyRequests(text, budgetRetrySeconds, [{ reason: 'DisruptionBudget', message }]);
}

async function markTarget(context: ServerContext, namespace: string, name: string): Promise<void> {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: formatTime(context.clock.now()),
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
  };
  const change = (pod: JsonObject): JsonObject => {
    const others = objectsOf(at(pod, 'status.conditions')).filter(({ type }) => type !== condition.type);
    return withPath(pod, 'status.conditions', [...others, condition]);
  };
  await updateObject(context, { kind: pods, namespace, name, dryRun: false, change, isOwn: true });
}
