import { at, objectOf, objectsOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { bindingRules } from '#api/kinds/core/binding.ts';
import { badRequest, bareError, conflict, successStatus } from '#api/errors/status.ts';
import { formatTime } from '#api/meta/time.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, type Style } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { updateObject } from '#control-plane/apiserver/verbs/update.ts';

const pods = builtIn('', 'v1', 'pods');
const podBindings = { group: '', resource: 'pods/binding' };

/** Puts a pod on the node that the binding names, once. @throws {E_API} 400, 404, 409, and 500 for a binding that says no node */
export async function bindPod(
  context: ServerContext,
  input: { readonly namespace: string; readonly binding: JsonObject; readonly dryRun: boolean },
  style: Style,
): Promise<ApiResponse> {
  const { namespace, binding, dryRun } = input;
  const name = stringOf(at(binding, 'metadata.name'));
  const node = stringOf(at(binding, 'target.name'));
  const faults = bindingRules.validate?.(binding) ?? [];
  const texts = faults.map((fault) => `${fault.field}: ${renderFieldError(fault)}`);
  if (texts.length > 0) throw bareError(texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`);
  if (name === '') throw badRequest('Name parameter required.');
  await updateObject(context, {
    kind: pods,
    namespace,
    name,
    dryRun,
    admittedAs: undefined,
    change: (pod) => assign(pod, { binding, node, nowMs: context.clock.now() }),
  });
  return objectResponse(201, { ...successStatus(undefined, 201) }, style);
}

/** The pod as bound. Pure. @throws {E_API} 409 when it is bound already or on its way out */
export function assign(
  pod: JsonObject,
  { binding, node, nowMs }: { readonly binding: JsonObject; readonly node: string; readonly nowMs: number },
): JsonObject {
  const name = stringOf(at(pod, 'metadata.name'));
  const uid = stringOf(at(binding, 'metadata.uid'));
  const podUid = stringOf(at(pod, 'metadata.uid'));
  const refuse = (cause: string): Error => conflict(podBindings, name, cause);
  if (uid !== '' && uid !== podUid) {
    throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${podUid}`);
  }
  if (at(pod, 'metadata.deletionTimestamp') !== undefined)
    throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  const bound = stringOf(at(pod, 'spec.nodeName'));
  if (bound !== '') throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(bound)}`);
  if (objectsOf(at(pod, 'spec.schedulingGates')).length > 0) {
    throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  }
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: formatTime(nowMs),
  };
  const others = objectsOf(at(pod, 'status.conditions')).filter(({ type }) => type !== 'PodScheduled');
  // What the binding says of the pod goes before what the pod says itself: labels are those of the node (KEP-4742).
  const given = (['annotations', 'labels'] as const).flatMap((field) => {
    const all = {
      ...stringMapOf(at(pod, ['metadata', field])),
      ...stringMapOf(at(binding, ['metadata', field])),
    };
    return Object.keys(all).length === 0 ? [] : [[field, all] as const];
  });
  // It is where it was nominated to, or nowhere near.
  const { nominatedNodeName: _nominated, ...status } = objectOf(pod['status']);
  const conditions = [...others, scheduled];
  const assigned: JsonObject = { ...withPath(pod, 'spec.nodeName', node), status: { ...status, conditions } };
  return given.length === 0
    ? assigned
    : { ...assigned, metadata: { ...objectOf(assigned['metadata']), ...Object.fromEntries(given) } };
}
