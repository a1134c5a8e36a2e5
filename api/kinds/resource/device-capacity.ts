import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  tryParseQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { isObject, listOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { boundedSetErrors } from './device-names.ts';

const valueCountMax = 10;
const notGiven = 'default value is not valid according to the requestPolicy';

/** How a device that several may use is divided (validateRequestPolicy). */
export function capacityErrors(capacity: JsonObject, path: string, isShared: boolean): readonly FieldError[] {
  const { requestPolicy: policy } = capacity;
  if (!isObject(policy)) return [];
  const field = `${path}.requestPolicy`;
  if (!isShared) return [forbiddenField(field, 'allowMultipleAllocations must be true')];
  const all = quantityOf(capacity['value']);
  const values = listOf(policy['validValues']).map(quantityOf);
  const range = policy['validRange'];
  if (values.length > 0 && isObject(range)) {
    const both =
      'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time';
    return [forbiddenField(field, both)];
  }
  if (values.length === 0 && !isObject(range)) return [];
  const name = values.length > 0 ? 'validValues' : 'validRange';
  if (policy['default'] === undefined) {
    return [requiredField(`${field}.default`, `required when ${name} is defined`)];
  }
  const usual = quantityOf(policy['default']);
  return isObject(range)
    ? rangeErrors(range, `${field}.validRange`, { all, usual })
    : valueErrors(values, `${field}.validValues`, { all, usual });
}

interface Amounts {
  /** All that there is. */
  readonly all: Quantity;
  /** Of whom asks for nothing. */
  readonly usual: Quantity;
}

function valueErrors(
  values: readonly Quantity[],
  field: string,
  { all, usual }: Amounts,
): readonly FieldError[] {
  const unsorted = values.flatMap((value, index) => {
    const before = values[index - 1];
    return when(before !== undefined && compareQuantity(before, value) > 0, () =>
      invalidField(`${field}[${index}]`, formatQuantity(value), 'values must be sorted in ascending order'),
    );
  });
  const keyOf = (value: Quantity): string => String(wholeOf(value));
  const isGiven =
    values.length <= valueCountMax && values.some((value) => compareQuantity(value, usual) === 0);
  return [
    ...unsorted,
    ...boundedSetErrors(values, { field, countMax: valueCountMax, keyOf }, (value, path) =>
      overErrors(value, path, { what: 'option is larger than capacity value', bound: all }),
    ),
    ...when(!isGiven, () => invalidField(field, formatQuantity(usual), notGiven)),
  ];
}

function rangeErrors(range: JsonObject, path: string, { all, usual }: Amounts): readonly FieldError[] {
  if (range['min'] === undefined)
    return [requiredField(`${path}.min`, 'required when validRange is defined')];
  const min = quantityOf(range['min']);
  const max = range['max'] === undefined ? undefined : quantityOf(range['max']);
  const isUnder = compareQuantity(usual, min) < 0;
  return [
    ...overErrors(min, `${path}.min`, { what: 'min is larger than capacity value', bound: all }),
    ...when(isUnder, () =>
      invalidField(
        `${path}.default`,
        formatQuantity(usual),
        `default is less than min: ${formatQuantity(min)}`,
      ),
    ),
    ...(max === undefined
      ? []
      : [
          ...overErrors(min, `${path}.max`, { what: 'min is larger than max', bound: max }),
          ...overErrors(max, `${path}.max`, { what: 'max is larger than capacity value', bound: all }),
          ...overErrors(usual, `${path}.default`, { what: 'default is more than max', bound: max }),
        ]),
    ...(range['step'] === undefined
      ? []
      : stepErrors(quantityOf(range['step']), `${path}.step`, {
          all,
          min,
          values: [usual, ...(max === undefined ? [] : [max])],
        })),
  ];
}

function stepErrors(
  step: Quantity,
  field: string,
  {
    all,
    min,
    values,
  }: { readonly all: Quantity; readonly min: Quantity; readonly values: readonly Quantity[] },
): readonly FieldError[] {
  if (compareQuantity(step, zeroQuantity) <= 0) {
    return [invalidField(field, formatQuantity(step), 'must be greater than zero')];
  }
  const one = addQuantity(min, step);
  const what = `one step ${formatQuantity(one)} is larger than capacity value`;
  const from = `value is not a multiple of a given step (${formatQuantity(step)}) from (${formatQuantity(min)})`;
  const isOff = (value: Quantity): boolean => (wholeOf(value) - wholeOf(min)) % wholeOf(step) !== 0n;
  return [
    ...when(compareQuantity(one, all) > 0, () =>
      invalidField(field, formatQuantity(step), `${what}: ${formatQuantity(all)}`),
    ),
    ...values.flatMap((value) => when(isOff(value), () => invalidField(field, formatQuantity(value), from))),
  ];
}

function overErrors(
  value: Quantity,
  field: string,
  { what, bound }: { readonly what: string; readonly bound: Quantity },
): readonly FieldError[] {
  return when(compareQuantity(value, bound) > 0, () =>
    invalidField(field, formatQuantity(value), `${what}: ${formatQuantity(bound)}`),
  );
}

function quantityOf(value: unknown): Quantity {
  return tryParseQuantity(value) ?? zeroQuantity;
}

/** Rounded up, as Go's Quantity.Value has it. */
function wholeOf({ nanos }: Quantity): bigint {
  const unit = 1_000_000_000n;
  const whole = nanos / unit;
  return nanos > 0n && nanos % unit !== 0n ? whole + 1n : whole;
}
