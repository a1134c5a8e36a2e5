import { Environment } from '#api/cel/environment.ts';
import { formatType, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { invalidField, requiredField, tooLongField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import { boundedErrors } from './device-names.ts';

const selectorCountMax = 32;
/** Bytes of an expression (CELSelectorExpressionMaxLength). */
const expressionLengthMax = 10_240;

const quantity: CelType = { kind: 'opaque', name: 'kubernetes.Quantity', params: [] };
const fields: Readonly<Record<string, CelType>> = {
  driver: types.string,
  attributes: mapOf(types.string, mapOf(types.string, types.dyn)),
  capacity: mapOf(types.string, mapOf(types.string, quantity)),
  allowMultipleAllocations: types.bool,
};
/** A device, as an expression sees it (k8s.io/dynamic-resource-allocation/cel). */
const device: ObjectType = {
  kind: 'object',
  name: 'kubernetes.DRADevice',
  fieldOf: (name) => {
    const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return type === undefined ? undefined : { type };
  },
};
let environment: Environment | undefined;

/** Conditions that a device has to meet. `stored`: they are as they were, hence not compiled again. */
export function selectorErrors(selectors: unknown, field: string, stored = false): readonly FieldError[] {
  return boundedErrors(objectsOf(selectors), field, selectorCountMax, (selector, path) =>
    isObject(selector['cel'])
      ? expressionErrors(selector['cel'], `${path}.cel.expression`, stored)
      : [requiredField(`${path}.cel`)],
  );
}

function expressionErrors(cel: JsonObject, field: string, stored: boolean): readonly FieldError[] {
  const expression = stringOf(at(cel, 'expression'));
  if (stored) return [];
  if (Buffer.byteLength(expression) > expressionLengthMax) return [tooLongField(field, expressionLengthMax)];
  const problem = problemOf(expression);
  return problem === undefined ? [] : [invalidField(field, expression, problem)];
}

function problemOf(expression: string): string | undefined {
  // A macro of cel-go's extensions that our parser does not know: rather too lax than too strict.
  if (expression.includes('cel.bind(')) return undefined;
  environment ??= new Environment({ variables: { device } });
  const { program, error } = environment.compile(expression);
  if (program === undefined) return error;
  const { kind } = program.type;
  return kind === 'bool' || kind === 'dyn'
    ? undefined
    : `must evaluate to bool or the unknown type, not ${formatType(program.type)}`;
}
