import { typeWarnings } from '#api/cel/admission/type-check.ts';
import { customResourceDefinitions, validatingAdmissionPolicies } from '#api/schema/kind-ref.ts';
import type { CustomResourceDefinition, ValidatingAdmissionPolicy } from '#api/generated/objects.ts';
import { equalJson, objectOf } from '#api/wire/json.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverKindsOf } from '#client/discover-kinds.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { askedDefinitions, kindOfParams, kindsOfRules } from './checked-kinds.ts';

/** Tells in the status of each ValidatingAdmissionPolicy what is wrong with its expressions for the kinds that it is about. */
export function runPolicyTypes(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const policies = informers.for(validatingAdmissionPolicies);
  return runController({
    name: 'validatingadmissionpolicy-status-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [source(policies, ({ key }) => [key])],
    reconcile: async (name) => {
      const policy = policies.get(name);
      if (policy === undefined || policy.metadata?.deletionTimestamp !== undefined) return;
      // Of what a policy said before, kinds may have come since: it is checked anew when it changes, as upstream has it.
      if (policy.status?.observedGeneration === policy.metadata?.generation) return;
      const status = checkedStatus(policy, await definitionsOf(informers.client, policy));
      if (equalJson(status, policy.status)) return;
      const next = { ...policy, status };
      policies.observe(await client.update(validatingAdmissionPolicies, next, { subresource: 'status' }));
    },
  });
}

/**
 * The definitions that the policy is about, asked for when it is checked: nobody keeps all that there are, which may be a hundred
 * megabytes.
 */
async function definitionsOf(
  client: ApiClient,
  { spec }: ValidatingAdmissionPolicy,
): Promise<readonly CustomResourceDefinition[]> {
  const rules = spec?.matchConstraints?.resourceRules ?? [];
  const found = new Map<string, CustomResourceDefinition>();
  for (const asked of askedDefinitions(rules, spec?.paramKind)) {
    const resource = 'resource' in asked ? asked.resource : await resourceOf(client, asked);
    const name = `${resource}.${asked.group}`;
    if (resource === undefined || found.has(name)) continue;
    const definition = await unlessAbsent(client.get(customResourceDefinitions, { name }));
    if (definition !== undefined) found.set(name, definition);
  }
  return [...found.values()];
}

/** How a custom kind's objects are called; undefined where it is not served. */
async function resourceOf(
  client: ApiClient,
  { group, version, kind }: { readonly group: string; readonly version: string; readonly kind: string },
): Promise<string | undefined> {
  const kinds = await unlessAbsent(discoverKindsOf(client, `${group}/${version}`));
  return kinds?.find((one) => one.kind === kind)?.resource;
}

async function unlessAbsent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The status with the findings about the policy as it is now. */
export function checkedStatus(
  { spec, status, metadata }: ValidatingAdmissionPolicy,
  definitions: Parameters<typeof kindsOfRules>[1],
): NonNullable<ValidatingAdmissionPolicy['status']> {
  const rules = spec?.matchConstraints?.resourceRules ?? [];
  const params = spec?.paramKind === undefined ? undefined : kindOfParams(spec.paramKind, definitions);
  const expressionWarnings = typeWarnings(objectOf(spec), kindsOfRules(rules, definitions), params);
  return {
    ...status,
    observedGeneration: metadata?.generation ?? 0,
    typeChecking: expressionWarnings.length === 0 ? {} : { expressionWarnings: [...expressionWarnings] },
  };
}
