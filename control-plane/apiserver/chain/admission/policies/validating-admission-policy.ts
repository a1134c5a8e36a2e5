import {
  judge,
  matchConditions,
  type AdmissionInput,
  type Annotation,
} from '#api/cel/admission/evaluation.ts';
import { statusError } from '#api/errors/status.ts';
import { qualifiedResource } from '#api/errors/status.ts';
import { at, goJson, stringOf } from '#api/wire/json.ts';
import { isPodwrightError } from '#base/errors.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { candidates, isSelected } from '#control-plane/apiserver/chain/admission/match/candidates.ts';
import type { Matched } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { policyCheckDurations, policyChecks } from '#control-plane/apiserver/serve/counters.ts';
import { AccessCache, settle } from './access.ts';
import { timeConditions } from './time-conditions.ts';
import { inputOf, readNamespace, type InputOfRequest } from './admission-input.ts';
import { findParamKind, findParams } from './params.ts';
import { boundTo, type Binding, type Policy } from './policy-book.ts';

/** Requests are checked against ValidatingAdmissionPolicies (KEP-3488; apiserver/pkg/admission/plugin/policy/validating). */
export const validatingAdmissionPolicy: AdmissionPlugin = {
  name: 'ValidatingAdmissionPolicy',
  handles: (attributes, context) => {
    const { policies, bindings } = context.policies.validating;
    const isBound =
      candidates(policies, attributes, context).length > 0 &&
      candidates(bindings, attributes, context).length > 0;
    return isBound ? 'mayWait' : 'no';
  },
  validate: validateRequest,
};

/** A request that is not to be: why, and on whose account. */
interface Denial {
  readonly policy: string;
  readonly binding?: string | undefined;
  readonly message: string;
  /** '' for Invalid. */
  readonly reason: string;
}

async function validateRequest(context: AdmissionContext, request: AdmissionRequest): Promise<void> {
  const { attributes } = request;
  const { policies, bindings } = context.policies.validating;
  const access = new AccessCache(context.authorizer, attributes.user);
  const found = candidates(policies, attributes, context);
  const bound = found.length === 0 ? [] : candidates(bindings, attributes, context);
  const run = new PolicyRun(context, request, access);
  for (const matched of found) {
    const own = boundTo(matched, bound);
    if (own.length > 0) await run.policy(matched, own);
  }
  run.publish();
  const [first] = run.denials;
  if (first !== undefined) throw denied(attributes, request, first);
}

/** All policies about one request. */
class PolicyRun {
  readonly denials: Denial[] = [];
  readonly #context: AdmissionContext;
  readonly #request: AdmissionRequest;
  readonly #access: AccessCache;
  readonly #annotations = new Map<string, Set<string>>();
  readonly #failures: unknown[] = [];

  constructor(context: AdmissionContext, request: AdmissionRequest, access: AccessCache) {
    this.#context = context;
    this.#request = request;
    this.#access = access;
  }

  async policy(matched: Matched<Policy>, bound: readonly Matched<Binding>[]): Promise<void> {
    const { item: policy } = matched;
    const [context, request] = [this.#context, this.#request];
    if (!(await isSelected(matched, request, context))) return;
    const selected: Binding[] = [];
    for (const binding of bound) if (await isSelected(binding, request, context)) selected.push(binding.item);
    if (selected.length === 0) return;
    const found = findParamKind(policy, context);
    if (found.error !== undefined) {
      this.#configurationError(policy, undefined, `failed to configure policy: ${found.error}`);
      return;
    }
    const namespaceObject = await readNamespace(context, request.attributes);
    const about = { context, access: this.#access, namespaceObject };
    let input: InputOfRequest | undefined;
    const { registry } = context;
    for (const binding of selected) {
      const { namespace } = request.attributes;
      const { params, error } = await findParams(binding, found.kind, { registry, namespace });
      if (params === undefined)
        this.#configurationError(policy, binding, `failed to configure binding: ${error}`);
      if (params === undefined || params.length === 0) continue;
      try {
        input ??= await inputOf(request, matched.as, about);
      } catch (cause) {
        if (!isPodwrightError(cause, 'E_API')) throw cause;
        const text = `failed to configure binding: failed to convert object version: ${cause.message}`;
        this.#configurationError(policy, binding, text);
        continue;
      }
      for (const param of params) await this.#judge(policy, binding, { ...input, params: param });
    }
  }

  async #judge(policy: Policy, binding: Binding, input: AdmissionInput): Promise<void> {
    const compiled = policy.compiled();
    const { clock } = this.#context;
    const matching = await timeConditions(this.#context, this.#request, {
      ...{ name: policy.name, isMutating: false, isEmpty: compiled.conditions.length === 0 },
      ask: () => matchConditions(compiled.conditions, input),
    });
    if (matching === 'notAll') return;
    if (matching !== 'all') {
      this.#failed(policy, binding, { message: matching.error, index: 0 });
      return;
    }
    const { outcomes, annotations } = await settle(() => judge(compiled, input, () => clock.monotonic()));
    for (const outcome of outcomes) {
      if (outcome.kind === 'failed') this.#failed(policy, binding, outcome);
      if (outcome.kind === 'denied') this.#broken(policy, binding, outcome);
    }
    for (const annotation of annotations) this.#annotate(policy, binding, annotation);
    const ms = outcomes.reduce((sum, each) => sum + each.ms, 0);
    if (outcomes.every(({ kind }) => kind === 'holds')) this.#count({ policy, binding, action: 'allow', ms });
  }

  /** Whoever is bound to it is denied, whatever the binding's actions are. */
  #configurationError(policy: Policy, binding: Binding | undefined, message: string): void {
    if (policy.ignoresFailures) return;
    this.denials.push({ policy: policy.name, binding: binding?.name, message, reason: '' });
    this.#count({ policy, binding, action: 'deny', isFailure: true, ms: 0 });
  }

  #failed(
    policy: Policy,
    binding: Binding,
    { message, index, ms = 0 }: { readonly message: string; readonly index: number; readonly ms?: number },
  ): void {
    if (policy.ignoresFailures) this.#count({ policy, binding, action: 'allow', isFailure: true, ms });
    else this.#broken(policy, binding, { message, index, reason: '', isFailure: true, ms });
  }

  #broken(policy: Policy, binding: Binding, { message, index, reason, isFailure = false, ms }: Broken): void {
    const about = { policy: policy.name, binding: binding.name };
    for (const action of binding.actions) {
      if (action === 'Deny') this.denials.push({ ...about, message, reason });
      if (action === 'Warn') {
        const text = `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${message}`;
        this.#request.attributes.scope?.warn(text);
      }
      if (action === 'Audit')
        this.#failures.push({
          message,
          ...about,
          expressionIndex: index,
          validationActions: binding.actions,
        });
      this.#count({ policy, binding, action: action.toLowerCase(), isFailure, ms });
    }
  }

  #annotate(policy: Policy, binding: Binding, { key, value, error }: Annotation): void {
    if (error !== undefined) this.#failed(policy, binding, { message: error, index: 0 });
    if (value === undefined) return;
    const name = `${policy.name}/${key}`;
    const values = this.#annotations.get(name) ?? new Set();
    this.#annotations.set(name, values.add(value));
  }

  /** What all of them have to say in the audit record. */
  publish(): void {
    const { scope } = this.#request.attributes;
    for (const [key, values] of this.#annotations) scope?.annotate(key, [...values].join(', '));
    if (this.#failures.length > 0)
      scope?.annotate('validation.policy.admission.k8s.io/validation_failure', goJson(this.#failures));
  }

  #count({ policy, binding, action, isFailure = false, ms }: Check): void {
    const labels = {
      enforcement_action: action,
      error_type: isFailure ? 'invalid_error' : 'no_error',
      policy: policy.name,
      policy_binding: binding?.name ?? '',
    };
    const { metrics } = this.#context;
    metrics.count(policyChecks, labels);
    metrics.measure(policyCheckDurations, labels, ms / 1000);
  }
}

/** A validation that does not hold, or could not be told. */
interface Broken {
  readonly message: string;
  readonly index: number;
  readonly reason: string;
  readonly isFailure?: boolean;
  readonly ms: number;
}

/** What is counted of one. */
interface Check {
  readonly policy: Policy;
  readonly binding: Binding | undefined;
  readonly action: string;
  readonly isFailure?: boolean;
  readonly ms: number;
}

const codes: Readonly<Record<string, number>> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
};

/** Says "forbidden" whatever the reason is, as kube-apiserver does. */
function denied(
  { kind }: AdmissionAttributes,
  { attributes, object }: AdmissionRequest,
  { policy, binding, message, reason }: Denial,
): Error {
  const name = attributes.name === '' ? nameOf(object) : attributes.name;
  const bound = binding === undefined ? '' : ` with binding '${binding}'`;
  const text = `ValidatingAdmissionPolicy '${policy}'${bound} denied request: ${message}`;
  const subject =
    name === '' ? qualifiedResource(kind) : `${qualifiedResource(kind)} ${JSON.stringify(name)}`;
  return statusError(codes[reason] ?? 422, reason || 'Invalid', `${subject} is forbidden: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.resource,
    causes: [{ message: text }],
  });
}

function nameOf(object: AdmissionRequest['object']): string {
  return stringOf(at(object, 'metadata.name'));
}
