import { Environment } from '#api/cel/environment.ts';
import { listOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { functionsOf } from '#api/cel/eval/function.ts';
import { traversal } from '#api/cel/library/costs.ts';
import type { Uses } from '#api/cel/library/libraries.ts';
import { namespaceType, objectType, requestType } from './request-type.ts';

/** What expressions of admission see beside the request. */
export interface AdmissionScope {
  readonly hasParams?: boolean;
  /** Not in messages. */
  readonly hasAuthorizer?: boolean;
  /** Those of a policy that were declared so far, by their names. */
  readonly variables?: Readonly<Record<string, CelType>>;
  /** Whether objects and patches may be written. */
  readonly mutates?: boolean;
  /** Of `object` and `oldObject`, and of `params`, where a policy is checked for one kind; anything without. */
  readonly object?: CelType | undefined;
  readonly params?: CelType | undefined;
  readonly uses?: Uses;
}

const authorization = 'kubernetes.authorization';
const authorizerType: CelType = { kind: 'opaque', name: `${authorization}.Authorizer`, params: [] };
const checkType: CelType = { kind: 'opaque', name: `${authorization}.ResourceCheck`, params: [] };

/** For expressions of policies and of conditions of webhooks (apiserver/pkg/admission/plugin/cel, mustBuildEnvs). */
export function admissionEnvironment(scope: AdmissionScope): Environment {
  const { object = types.dyn, params = types.dyn, variables, mutates = false } = scope;
  return new Environment({
    variables: {
      ...{ object, oldObject: object, request: requestType, namespaceObject: namespaceType },
      ...(scope.hasParams === true ? { params } : {}),
      ...(scope.hasAuthorizer === true
        ? { authorizer: authorizerType, 'authorizer.requestResource': checkType }
        : {}),
      ...(variables === undefined ? {} : { variables: objectType('kubernetes.variables', variables) }),
    },
    ...(mutates ? { objectOf: writtenType, functions: patchFunctions } : {}),
    uses: scope.uses ?? 'all',
  });
}

/** What an ApplyConfiguration comes to: an object whose types are named by where they stand, `Object.spec.template`. */
export const configurationType: ObjectType = writtenObject('Object');

/** What a JSONPatch comes to. */
export const patchType: CelType = listOf(
  objectType('JSONPatch', { op: types.string, path: types.string, from: types.string, value: types.dyn }),
);

function writtenType(name: string): ObjectType | undefined {
  if (name === 'JSONPatch' && patchType.kind === 'list' && patchType.element.kind === 'object')
    return patchType.element;
  return name === 'Object' || name.startsWith('Object.') ? writtenObject(name) : undefined;
}

/** Whether a field is one of the schema's is found when it is merged. */
function writtenObject(name: string): ObjectType {
  return { kind: 'object', name, fieldOf: () => ({ type: types.dyn }) };
}

const patchFunctions = functionsOf({
  'jsonpatch.escapeKey(string): string': [
    (text) => String(text).replaceAll('~', '~0').replaceAll('/', '~1'),
    traversal,
  ],
});
