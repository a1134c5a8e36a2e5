import { compileDeviceCondition } from '#api/device/device-expression.ts';
import {
  forbiddenField,
  invalidField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import { boundedErrors } from './device-names.ts';

const selectorCountMax = 32;
/** Bytes of an expression (CELSelectorExpressionMaxLength). */
const expressionLengthMax = 10_240;

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
  const { problem, isTooDear } = compileDeviceCondition(expression);
  if (problem !== undefined) return [invalidField(field, expression, problem)];
  return isTooDear ? [forbiddenField(field, 'too complex, exceeds cost limit')] : [];
}
