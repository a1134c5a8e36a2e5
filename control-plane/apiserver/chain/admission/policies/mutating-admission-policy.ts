import { evaluateMutation, matchConditions, type AdmissionInput } from '#api/cel/admission/evaluation.ts';
import type { PolicyMutation } from '#api/cel/admission/compile-policy.ts';
import { statusError } from '#api/errors/status.ts';
import { mergeInto, wholesIn } from '#api/patch/apply/merge-into.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, isObject, objectsOf } from '#api/wire/json.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { shownBack } from '#control-plane/apiserver/chain/admission/match/admission-request.ts';
import { candidates, isSelected } from '#control-plane/apiserver/chain/admission/match/candidates.ts';
import type { Matched } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { readChanged } from '#control-plane/apiserver/chain/admission/match/read-changed.ts';
import { kindOfObjects } from '#control-plane/apiserver/chain/admission/match/shown-as.ts';
import { Reinvocation } from '#control-plane/apiserver/chain/admission/reinvocation.ts';
import { internally } from '#control-plane/apiserver/chain/admission/webhooks/verdict-status.ts';
import { applyPatch } from '#control-plane/apiserver/chain/admission/webhooks/apply-patch.ts';
import { mutationCheckDurations, mutationChecks } from '#control-plane/apiserver/serve/counters.ts';
import { isPodwrightError } from '#base/errors.ts';
import { AccessCache, settle } from './access.ts';
import { timeConditions } from './time-conditions.ts';
import { inputOf, readNamespace } from './admission-input.ts';
import { findParamKind, findParams } from './params.ts';
import { boundTo, type Binding, type Policy } from './policy-book.ts';

const name = 'MutatingAdmissionPolicy';

/** Objects are changed by MutatingAdmissionPolicies (KEP-3962; apiserver/pkg/admission/plugin/policy/mutating). */
export const mutatingAdmissionPolicy: AdmissionPlugin = {
  name,
  handles: (attributes, context) => {
    const { policies, bindings } = context.policies.mutating;
    const isBound =
      candidates(policies, attributes, context).length > 0 &&
      candidates(bindings, attributes, context).length > 0;
    return isBound ? 'mayWait' : 'no';
  },
  admit,
};

/** One policy, by one of its bindings and one of its parameters. */
interface Invocation {
  readonly policy: Policy;
  readonly binding: Binding | undefined;
  readonly as: Kind;
  readonly params: JsonObject | null;
}

/** Policies in the order of their names, each on what the one before left. */
async function admit(context: AdmissionContext, request: AdmissionRequest): Promise<JsonObject | undefined> {
  const { attributes, reinvocation = new Reinvocation() } = request;
  const rounds = reinvocation.of(name);
  if (reinvocation.isAgain && !equalJson(rounds.lastOutput, request.object)) rounds.changed();
  const { policies, bindings } = context.policies.mutating;
  const bound = candidates(bindings, attributes, context);
  const access = new AccessCache(context.authorizer, attributes.user);
  let { object } = request;
  for (const matched of candidates(policies, attributes, context)) {
    const own = boundTo(matched, bound);
    const invocations = await invocationsOf(context, { ...request, object }, { matched, bound: own });
    for (const { id, ...invocation } of invocations) {
      if (reinvocation.isAgain && !rounds.isDue(id)) continue;
      const changed = await invoke(context, { ...request, object }, { ...invocation, access });
      if (changed !== undefined) {
        object = changed;
        rounds.changed();
        reinvocation.want();
      }
      if (matched.item.isReinvoked) rounds.wasAsked(id);
    }
  }
  rounds.lastOutput = object;
  return object === request.object ? undefined : object;
}

/** Whom it concerns: for each binding that selects the request, and each of its parameters. @throws {E_API} where these are not to be had */
async function invocationsOf(
  context: AdmissionContext,
  request: AdmissionRequest,
  { matched, bound }: { readonly matched: Matched<Policy>; readonly bound: readonly Matched<Binding>[] },
): Promise<readonly (Invocation & { readonly id: string })[]> {
  const { item: policy, as } = matched;
  if (request.object === undefined || !(await isSelected(matched, request, context))) return [];
  const found = findParamKind(policy, context);
  const made: (Invocation & { readonly id: string })[] = [];
  for (const each of bound) {
    if (!(await isSelected(each, request, context))) continue;
    const { item: binding } = each;
    if (found.error !== undefined) {
      refuse(context, request, { policy, binding: undefined }, `failed to configure policy: ${found.error}`);
      return [];
    }
    const { namespace } = request.attributes;
    const { params, error } = await findParams(binding, found.kind, {
      registry: context.registry,
      namespace,
    });
    if (params === undefined)
      refuse(context, request, { policy, binding }, `failed to configure binding: ${error}`);
    for (const [index, param] of (params ?? []).entries())
      made.push({ id: `${policy.name}/${binding.name}/${index}`, policy, binding, as, params: param });
  }
  return made;
}

/** The object as the policy changed it; undefined where it did not. @throws {E_API} where the request is refused */
async function invoke(
  context: AdmissionContext,
  request: AdmissionRequest,
  { policy, binding, as, params, access }: Invocation & { readonly access: AccessCache },
): Promise<JsonObject | undefined> {
  const namespaceObject = await readNamespace(context, request.attributes);
  const input: AdmissionInput = {
    ...(await internally(inputOf(request, as, { context, access, namespaceObject }))),
    params,
  };
  const compiled = policy.compiled();
  const matching = await timeConditions(context, request, {
    ...{ name: policy.name, isMutating: true, isEmpty: compiled.conditions.length === 0 },
    ask: () => matchConditions(compiled.conditions, input),
  });
  if (matching === 'notAll') return undefined;
  const startMs = context.clock.monotonic();
  const fail = (message: string): undefined =>
    refuse(context, request, { policy, binding, ms: context.clock.monotonic() - startMs }, message);
  if (matching !== 'all') return fail(matching.error);
  const kind = kindOfObjects(as, request.attributes.subresource);
  let { object } = input;
  for (const mutation of compiled.mutations) {
    const result = await settle(() => evaluateMutation(compiled, mutation, { ...input, object }));
    if ('error' in result) return fail(result.error);
    const changed = changedBy(mutation, kind, { object, value: result.value });
    if ('error' in changed) return fail(changed.error);
    object = changed.object;
  }
  count(context, { policy, binding, ms: context.clock.monotonic() - startMs }, 'no_error');
  if (object === null || equalJson(object, input.object)) return undefined;
  return internally(shownBack(context, request, { object, as }));
}

type Changed = { readonly object: JsonObject | null } | { readonly error: string };

/** What a mutation makes of the object. A patch one of whose tests fails changes nothing. */
function changedBy(
  { kind: how }: PolicyMutation,
  kind: Kind,
  { object, value }: { readonly object: JsonObject | null; readonly value: unknown },
): Changed {
  if (object === null) return { object };
  try {
    if (how === 'patch') {
      const patched = applyPatch(object, objectsOf(value).map(operationOf));
      if ('value' in patched) return { object: readChanged(kind, patched.value) };
      const isTest = patched.reason.endsWith('test failed');
      return isTest ? { object } : { error: `JSON Patch: ${patched.reason}` };
    }
    return mergeConfiguration(kind, object, isObject(value) ? value : {});
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return { error: `error applying patch: ${error.message}` };
  }
}

/** What would be set as a whole is refused: what the object has of it and the configuration does not say would be lost (ApplyStructuredMergeDiff). */
function mergeConfiguration(kind: Kind, object: JsonObject, configuration: JsonObject): Changed {
  const merged = mergeInto(kind, object, configuration);
  if (merged.object === undefined)
    return { error: `error applying patch: failed to convert patch object to typed object: ${merged.fault}` };
  const wholes = wholesIn(kind, configuration);
  if (wholes.length === 0) return { object: readChanged(kind, merged.object) };
  const texts = wholes.join(', ');
  return {
    error: `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${texts}`,
  };
}

/** An operation without what it does not say: a value of null is one. */
function operationOf({ op, path, from, value }: JsonObject): JsonObject {
  return {
    ...{ op, path },
    ...(from === undefined || from === '' ? {} : { from }),
    ...(value === undefined ? {} : { value }),
  };
}

/** What a policy was asked, and how long that took. */
interface Checked extends Pick<Invocation, 'policy' | 'binding'> {
  readonly ms?: number;
}

/** Refuses the request, unless the policy's failures are to be ignored. @throws {E_API} 403 */
function refuse(
  context: AdmissionContext,
  request: AdmissionRequest,
  { policy, binding, ms = 0 }: Checked,
  message: string,
): undefined {
  count(context, { policy, binding, ms }, 'invalid_error');
  if (policy.ignoresFailures) return undefined;
  const { kind, name: given } = request.attributes;
  const { name: own } = (request.object?.['metadata'] ?? {}) as { readonly name?: string };
  const about = given === '' ? (own ?? '') : given;
  const bound = binding === undefined ? '' : ` with binding '${binding.name}'`;
  const text = `policy '${policy.name}'${bound} denied request: ${message}`;
  throw statusError(403, 'Invalid', text, {
    ...(about === '' ? {} : { name: about }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.resource,
    causes: [{ message: text }],
  });
}

function count(
  { metrics }: Pick<AdmissionContext, 'metrics'>,
  { policy, binding, ms = 0 }: Checked,
  errorType: string,
): void {
  const labels = { error_type: errorType, policy: policy.name, policy_binding: binding?.name ?? '' };
  metrics.count(mutationChecks, labels);
  metrics.measure(mutationCheckDurations, labels, ms / 1000);
}
