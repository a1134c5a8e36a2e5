import { compilePolicy } from '#api/cel/admission/compile-policy.ts';
import {
  duplicateField,
  invalidField,
  invalidStruct,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { dns1035Label, dnsSubdomain, formatErrors, qualifiedName } from '#api/validation/format.ts';
import {
  expressionErrors,
  isBlank,
  matchConditionErrors,
  type ExpressionProblems,
} from './match-condition-validation.ts';
import { matchResourcesErrors, mutableOperationErrors } from './request-rule-validation.ts';

const failurePolicies = ['Fail', 'Ignore'];
const reinvocationPolicies = ['IfNeeded', 'Never'];
const patchTypes = ['ApplyConfiguration', 'JSONPatch'];
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];
const annotationsMax = 20;
const annotationBytesMax = 5120;
const identifier = /^[_a-zA-Z][_a-zA-Z0-9]*$/;
const reservedWords: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace ' +
    'return var void while'
  ).split(' '),
);

/** Complaints about a ValidatingAdmissionPolicy (kubernetes pkg/apis/admissionregistration/validation). */
export function validateValidatingPolicy(policy: JsonObject, old?: JsonObject): readonly FieldError[] {
  const spec = objectOf(policy['spec']);
  const problemOf = problemsOf(spec);
  return [
    ...commonErrors(spec, { old: old === undefined ? undefined : objectOf(old['spec']), problemOf }),
    ...outcomeErrors(spec, stringOf(at(policy, 'metadata.name')), problemOf),
  ];
}

/** Complaints about a MutatingAdmissionPolicy. */
export function validateMutatingPolicy(policy: JsonObject, old?: JsonObject): readonly FieldError[] {
  const spec = objectOf(policy['spec']);
  const mutations = objectsOf(spec['mutations']);
  const reinvocation = stringOf(spec['reinvocationPolicy']);
  const problemOf = problemsOf(spec);
  return [
    ...commonErrors(spec, {
      ...{ old: old === undefined ? undefined : objectOf(old['spec']), problemOf },
      mutates: true,
    }),
    ...when(mutations.length === 0, () =>
      requiredField('spec.mutations', 'mutations must contain at least one item'),
    ),
    ...mutations.flatMap((mutation, index) =>
      mutationErrors(mutation, `spec.mutations[${index}]`, problemOf),
    ),
    ...(reinvocation === ''
      ? [requiredField('spec.reinvocationPolicy')]
      : givenChoiceErrors('spec.reinvocationPolicy', reinvocation, reinvocationPolicies)),
  ];
}

/** Complaints about the status of a ValidatingAdmissionPolicy. */
export function validatePolicyStatus(policy: JsonObject): readonly FieldError[] {
  const path = 'status.typeChecking.expressionWarnings';
  const warnings = objectsOf(at(policy, path));
  return [
    ...warnings.flatMap((warning, index) => [
      ...when(stringOf(warning['warning']) === '', () => requiredField(`${path}[${index}].warning`)),
      ...when(isBlank(warning['fieldRef']), () => requiredField(`${path}[${index}].fieldRef`)),
    ]),
    ...conditionErrors(policy),
  ];
}

/** What is wrong with the expressions of a policy. */
function problemsOf(spec: JsonObject): ExpressionProblems {
  const { conditions, variables, validations, annotations, mutations } = compilePolicy(spec, {
    uses: 'compatible',
  });
  const messages = validations.flatMap(({ messageExpression }) => messageExpression ?? []);
  const all = [...conditions, ...variables, ...validations, ...messages, ...annotations, ...mutations];
  const problems = new Map(all.map(({ path, error }) => [path, error]));
  return (_, path) => problems.get(path);
}

interface CommonContext {
  /** The spec as it was; undefined of a creation. */
  readonly old: JsonObject | undefined;
  readonly problemOf: ExpressionProblems;
  readonly mutates?: boolean;
}

function commonErrors(
  spec: JsonObject,
  { old, problemOf, mutates = false }: CommonContext,
): readonly FieldError[] {
  const { failurePolicy, paramKind, matchConstraints: match, matchConditions } = spec;
  // Conditions that are as they were are left alone, while they may name what they did.
  const isKept =
    old !== undefined &&
    equalJson(paramKind, old['paramKind']) &&
    equalJson(matchConditions, old['matchConditions']);
  const path = 'spec.matchConstraints';
  return [
    ...givenChoiceErrors('spec.failurePolicy', failurePolicy, failurePolicies),
    ...(isObject(paramKind) ? paramKindErrors(paramKind, 'spec.paramKind') : []),
    ...(isObject(match) ? matchResourcesErrors(match, path) : [requiredField(path)]),
    ...when(isObject(match) && listOf(match['resourceRules']).length === 0, () =>
      requiredField(`${path}.resourceRules`),
    ),
    ...(mutates ? mutableOperationErrors(match, path) : []),
    ...(isKept ? [] : matchConditionErrors(matchConditions, 'spec.matchConditions', problemOf)),
    ...objectsOf(spec['variables']).flatMap((variable, index) =>
      variableErrors(variable, `spec.variables[${index}]`, problemOf),
    ),
  ];
}

/** What parameters are: a kind of any group, by names as APIs have them. */
function paramKindErrors(paramKind: JsonObject, path: string): readonly FieldError[] {
  const kind = stringOf(paramKind['kind']);
  const texts = dns1035Label(kind.toLowerCase());
  const detail = `may have mixed case, but should otherwise match: ${texts.join(',')}`;
  return [
    ...groupVersionErrors(stringOf(paramKind['apiVersion']), `${path}.apiVersion`),
    ...(kind === ''
      ? [requiredField(`${path}.kind`)]
      : when(texts.length > 0, () => invalidField(`${path}.kind`, kind, detail))),
  ];
}

function groupVersionErrors(apiVersion: string, field: string): readonly FieldError[] {
  if (apiVersion === '') return [requiredField(field)];
  const parts = apiVersion === '/' ? ['', ''] : apiVersion.split('/');
  if (parts.length > 2) {
    return [invalidField(field, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)];
  }
  const version = parts.at(-1) ?? '';
  const group = parts.length === 2 ? (parts[0] ?? '') : '';
  const joined = (text: string, texts: readonly string[]): readonly FieldError[] =>
    when(texts.length > 0, () => invalidField(field, text, texts.join(',')));
  return [
    ...(group === '' ? [] : joined(group, dnsSubdomain(group))),
    ...(version === ''
      ? [invalidField(field, apiVersion, 'version must be specified')]
      : joined(version, dns1035Label(version))),
  ];
}

function variableErrors(
  variable: JsonObject,
  path: string,
  problemOf: ExpressionProblems,
): readonly FieldError[] {
  const name = stringOf(variable['name']);
  const isName = identifier.test(name) && !reservedWords.has(name);
  return [
    ...(isBlank(name)
      ? [requiredField(`${path}.name`, 'name is not specified')]
      : when(!isName, () => invalidField(`${path}.name`, name, 'must be a valid CEL identifier'))),
    ...when(isBlank(variable['expression']), () =>
      requiredField(`${path}.expression`, 'expression is not specified'),
    ),
    ...expressionErrors(`${path}.expression`, variable['expression'], problemOf),
  ];
}

function outcomeErrors(spec: JsonObject, name: string, problemOf: ExpressionProblems): readonly FieldError[] {
  const validations = objectsOf(spec['validations']);
  const annotations = objectsOf(spec['auditAnnotations']);
  if (validations.length === 0 && annotations.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    return ['validations', 'auditAnnotations'].map((list) => requiredField(`spec.${list}`, detail));
  }
  const keys = new Set<string>();
  return [
    ...validations.flatMap((validation, index) =>
      validationErrors(validation, `spec.validations[${index}]`, problemOf),
    ),
    ...when(annotations.length > annotationsMax, () =>
      invalidStruct(
        'spec.auditAnnotations',
        goValue('[]admissionregistration.v1.AuditAnnotation', annotations),
        `must not have more than ${annotationsMax} auditAnnotations`,
      ),
    ),
    ...annotations.flatMap((annotation, index) => {
      const path = `spec.auditAnnotations[${index}]`;
      const key = stringOf(annotation['key']);
      const isRepeated = keys.has(key);
      keys.add(key);
      return [
        ...annotationErrors(annotation, { name, path, problemOf }),
        ...when(isRepeated, () => duplicateField(`${path}.key`, key)),
      ];
    }),
  ];
}

function validationErrors(
  validation: JsonObject,
  path: string,
  problemOf: ExpressionProblems,
): readonly FieldError[] {
  const message = stringOf(validation['message']);
  const messageExpression = stringOf(validation['messageExpression']);
  const filled = 'must be non-empty if specified';
  return [
    ...when(isBlank(validation['expression']), () =>
      requiredField(`${path}.expression`, 'expression is not specified'),
    ),
    ...expressionErrors(`${path}.expression`, validation['expression'], problemOf),
    ...when(messageExpression !== '' && isBlank(messageExpression), () =>
      invalidField(`${path}.messageExpression`, messageExpression, filled),
    ),
    ...expressionErrors(`${path}.messageExpression`, messageExpression, problemOf),
    ...when(message !== '' && isBlank(message), () => invalidField(`${path}.message`, message, filled)),
    ...when(/[\n\r]/.test(message.trim()), () =>
      invalidField(`${path}.message`, message, 'must not contain line breaks'),
    ),
    ...givenChoiceErrors(`${path}.reason`, validation['reason'], reasons),
  ];
}

/** An audit event has annotations under the policy's name, so that has to be one of those. */
function annotationErrors(
  annotation: JsonObject,
  {
    name,
    path,
    problemOf,
  }: { readonly name: string; readonly path: string; readonly problemOf: ExpressionProblems },
): readonly FieldError[] {
  const key = stringOf(annotation['key']);
  const field = `${path}.valueExpression`;
  const expression = stringOf(annotation['valueExpression']).trim();
  return [
    ...(name === ''
      ? [invalidField(`${path}.key`, key, 'requires metadata.name be non-empty')]
      : formatErrors(`${path}.key`, `${name}/${key}`, qualifiedName)),
    ...when(expression === '', () => requiredField(field, 'valueExpression is not specified')),
    ...when(Buffer.byteLength(expression) > annotationBytesMax, () =>
      requiredField(field, `must not exceed ${annotationBytesMax} bytes in length`),
    ),
    ...expressionErrors(field, annotation['valueExpression'], problemOf),
  ];
}

function mutationErrors(
  mutation: JsonObject,
  path: string,
  problemOf: ExpressionProblems,
): readonly FieldError[] {
  const type = stringOf(mutation['patchType']);
  if (type === '') return [requiredField(`${path}.patchType`)];
  const [body, other] =
    type === 'JSONPatch' ? ['jsonPatch', 'applyConfiguration'] : ['applyConfiguration', 'jsonPatch'];
  if (!patchTypes.includes(type)) return givenChoiceErrors(`${path}.patchType`, type, patchTypes);
  const patch = mutation[body];
  return [
    ...(isObject(patch)
      ? [
          ...when(isBlank(patch['expression']), () => requiredField(`${path}.${body}.expression`)),
          ...expressionErrors(`${path}.${body}.expression`, patch['expression'], problemOf),
        ]
      : [requiredField(`${path}.${body}`, `must be specified when patchType is ${type}`)]),
    ...when(isObject(mutation[other]), () =>
      invalidField(`${path}.${other}`, `{${other}}`, `must not be specified when patchType is ${type}`),
    ),
  ];
}
