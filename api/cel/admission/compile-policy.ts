import type { Compiled, Environment, Program } from '#api/cel/environment.ts';
import { types, type CelType } from '#api/cel/check/cel-type.ts';
import type { Uses } from '#api/cel/library/libraries.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { admissionEnvironment, configurationType, patchType, type AdmissionScope } from './environment.ts';

/** An expression of a policy: where it stands, and what was made of it. */
export interface PolicyExpression {
  /** `spec.validations[0].expression` */
  readonly path: string;
  readonly text: string;
  readonly program?: Program | undefined;
  readonly error?: string | undefined;
}

export interface PolicyVariable extends PolicyExpression {
  readonly name: string;
}

export interface PolicyCondition extends PolicyExpression {
  readonly name: string;
}

export interface PolicyValidation extends PolicyExpression {
  readonly message: string;
  readonly messageExpression: PolicyExpression | undefined;
  /** Of the answer; '' for Invalid. */
  readonly reason: string;
}

export interface PolicyAnnotation extends PolicyExpression {
  readonly key: string;
}

export interface PolicyMutation extends PolicyExpression {
  readonly kind: 'apply' | 'patch';
}

/** The spec of a ValidatingAdmissionPolicy or MutatingAdmissionPolicy, as far as it is expressions. */
export interface CompiledPolicy {
  readonly conditions: readonly PolicyCondition[];
  readonly variables: readonly PolicyVariable[];
  readonly validations: readonly PolicyValidation[];
  readonly annotations: readonly PolicyAnnotation[];
  readonly mutations: readonly PolicyMutation[];
}

/** Of what a policy is checked for, where that is one kind. */
export interface PolicyTypes {
  readonly object?: CelType | undefined;
  readonly params?: CelType | undefined;
}

export interface CompileOptions extends PolicyTypes {
  readonly uses?: Uses;
}

/** Compiles all that a policy says; what is wrong stands beside it. Variables see those before them. */
export function compilePolicy(spec: JsonObject, options: CompileOptions = {}): CompiledPolicy {
  const scope: AdmissionScope = {
    ...options,
    ...{ hasParams: isObject(spec['paramKind']), hasAuthorizer: true },
    mutates: objectsOf(spec['mutations']).length > 0,
  };
  const conditions = objectsOf(spec['matchConditions']).map((condition, index) => ({
    name: stringOf(condition['name']),
    ...compiled(
      admissionEnvironment(scope),
      { path: `spec.matchConditions[${index}].expression`, text: stringOf(condition['expression']) },
      [types.bool],
    ),
  }));
  const { variables, declared } = compileVariables(objectsOf(spec['variables']), scope);
  const within = { ...scope, variables: declared };
  return {
    conditions,
    variables,
    ...compileOutcomes(spec, within),
    mutations: compileMutations(spec, within),
  };
}

/** The expression of one condition, of a policy or a webhook. */
export function compileCondition(text: string, scope: AdmissionScope): Compiled {
  return admissionEnvironment({ ...scope, hasAuthorizer: true }).compile(text, [types.bool]);
}

function compiled(
  environment: Environment,
  { path, text }: { readonly path: string; readonly text: string },
  wanted: readonly CelType[] = [],
): PolicyExpression {
  if (text.trim() === '') return { path, text };
  const { program, error } = environment.compile(text, wanted);
  return { path, text, program, error };
}

function compileVariables(
  given: readonly JsonObject[],
  scope: AdmissionScope,
): { readonly variables: readonly PolicyVariable[]; readonly declared: Readonly<Record<string, CelType>> } {
  const declared: Record<string, CelType> = {};
  const variables = given.map((variable, index) => {
    const name = stringOf(variable['name']);
    const place = {
      path: `spec.variables[${index}].expression`,
      text: stringOf(variable['expression']),
    };
    const made = compiled(admissionEnvironment({ ...scope, variables: { ...declared } }), place);
    declared[name] = made.program?.type ?? types.dyn;
    return { name, ...made };
  });
  return { variables, declared };
}

function compileOutcomes(
  spec: JsonObject,
  scope: AdmissionScope,
): Pick<CompiledPolicy, 'validations' | 'annotations'> {
  const environment = admissionEnvironment(scope);
  const messages = admissionEnvironment({ ...scope, hasAuthorizer: false });
  const validations = objectsOf(spec['validations']).map((validation, index) => {
    const path = `spec.validations[${index}]`;
    const text = stringOf(validation['messageExpression']);
    const place = { path: `${path}.expression`, text: stringOf(validation['expression']) };
    return {
      ...compiled(environment, place, [types.bool]),
      message: stringOf(validation['message']),
      messageExpression:
        text === ''
          ? undefined
          : compiled(messages, { path: `${path}.messageExpression`, text }, [types.string]),
      reason: stringOf(validation['reason']),
    };
  });
  const annotations = objectsOf(spec['auditAnnotations']).map((annotation, index) => {
    const path = `spec.auditAnnotations[${index}].valueExpression`;
    const place = { path, text: stringOf(annotation['valueExpression']) };
    return {
      ...compiled(environment, place, [types.string, types.null]),
      key: stringOf(annotation['key']),
    };
  });
  return { validations, annotations };
}

function compileMutations(spec: JsonObject, scope: AdmissionScope): readonly PolicyMutation[] {
  const environment = admissionEnvironment({ ...scope, mutates: true });
  return objectsOf(spec['mutations']).map((mutation, index) => {
    const isPatch = mutation['patchType'] === 'JSONPatch';
    const field = isPatch ? 'jsonPatch' : 'applyConfiguration';
    const path = `spec.mutations[${index}].${field}.expression`;
    const place = { path, text: stringOf(objectOf(mutation[field])['expression']) };
    return {
      ...compiled(environment, place, [isPatch ? patchType : configurationType]),
      kind: isPatch ? 'patch' : 'apply',
    };
  });
}
