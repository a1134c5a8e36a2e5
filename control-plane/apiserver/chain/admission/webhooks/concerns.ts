import { forbidden } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { AccessCache } from '#control-plane/apiserver/chain/admission/policies/access.ts';
import { inputOf } from '#control-plane/apiserver/chain/admission/policies/admission-input.ts';
import { isSelected } from '#control-plane/apiserver/chain/admission/match/candidates.ts';
import type { Matched } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { timeConditions } from '#control-plane/apiserver/chain/admission/policies/time-conditions.ts';
import type { Hook } from './hook.ts';
import { internally } from './verdict-status.ts';

/**
 * What a hook is to be asked of a request; undefined where its selectors or conditions leave the request out. A condition that cannot be told
 * leaves it out, or refuses the request, by the hook's failurePolicy. @throws {E_API} 403, 404
 */
export async function questionFor(
  matched: Matched<Hook>,
  request: AdmissionRequest,
  { context, access }: { readonly context: AdmissionContext; readonly access: AccessCache },
): Promise<JsonObject | undefined> {
  if (!(await isSelected(matched, request, context))) return undefined;
  const { item: hook, as } = matched;
  // Conditions of webhooks are told no namespace.
  const input = {
    ...(await internally(inputOf(request, as, { context, access, namespaceObject: null }))),
    params: null,
  };
  const { conditions } = hook;
  const answer = await timeConditions(context, request, {
    ...{ name: hook.name, isHook: true, isMutating: request.reinvocation !== undefined },
    ...{ isEmpty: conditions.isEmpty, ask: () => conditions.ask(input) },
  });
  if (answer !== 'all') {
    const { kind, name } = request.attributes;
    if (answer !== 'notAll' && !hook.failsOpen) throw forbidden(kind, name, answer.error);
    return undefined;
  }
  const { object, oldObject } = input;
  const { dryRun, options, ...first } = input.request;
  return { ...first, object, oldObject, dryRun, options };
}
