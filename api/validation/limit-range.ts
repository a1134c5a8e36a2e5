import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  compareQuantity,
  formatQuantity,
  parseQuantity,
  quantityToNumber,
  tryParseQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { formatErrors, qualifiedName } from './format.ts';
import { containerResourceErrors, mayBeOvercommitted, resourceNameErrors } from './resource-name.ts';

const types = ['Pod', 'Container', 'PersistentVolumeClaim'];
const one = parseQuantity('1');

/** Complaints about a LimitRange. */
export function validateLimitRange(range: JsonObject): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(at(range, 'spec.limits')).flatMap((limit, index) => {
    const [path, type] = [`spec.limits[${index}]`, stringOf(limit['type'])];
    const repeated = seen.has(type) ? [duplicateField(`${path}.type`, type)] : [];
    seen.add(type);
    return [...typeErrors(type, `${path}.type`), ...repeated, ...limitErrors(limit, path)];
  });
}

function typeErrors(type: string, field: string): readonly FieldError[] {
  const errors = formatErrors(field, type, qualifiedName);
  return errors.length > 0 || type.includes('/') || types.includes(type)
    ? errors
    : [invalidField(field, type, 'must be a standard limit type or fully qualified')];
}

function limitErrors(limit: JsonObject, path: string): readonly FieldError[] {
  const type = stringOf(limit['type']);
  const nameErrors = type === 'Pod' || type === 'Container' ? containerResourceErrors : resourceNameErrors;
  const named = (field: string): readonly FieldError[] =>
    Object.keys(objectOf(limit[field])).flatMap((name) => nameErrors(`${path}.${field}[${name}]`, name));
  const given = (field: string): readonly FieldError[] => {
    if (type !== 'Pod') return named(field);
    return Object.keys(objectOf(limit[field])).length === 0
      ? []
      : [forbiddenField(`${path}.${field}`, "may not be specified when `type` is 'Pod'")];
  };
  const bounds = ['max', 'min'].map((field) => at(limit, [field, 'storage']));
  return [
    ...named('max'),
    ...named('min'),
    ...given('default'),
    ...given('defaultRequest'),
    ...(type === 'PersistentVolumeClaim' && bounds.every((bound) => bound === undefined)
      ? [
          requiredField(
            `${path}.limits`,
            'either minimum or maximum storage value is required, but neither was provided',
          ),
        ]
      : []),
    ...named('maxLimitRequestRatio'),
    ...amountsErrors(limit, path),
  ];
}

/** The amounts of each resource against each other. */
function amountsErrors(limit: JsonObject, path: string): readonly FieldError[] {
  const ofPod = limit['type'] === 'Pod';
  const fields = ['max', 'min', ...(ofPod ? [] : ['default', 'defaultRequest']), 'maxLimitRequestRatio'];
  const names = new Set(fields.flatMap((field) => Object.keys(objectOf(limit[field]))));
  return [...names].flatMap((name) => {
    const amounts = Object.fromEntries(
      fields.map((field) => [field, tryParseQuantity(at(limit, [field, name]))]),
    );
    return [
      ...orders.flatMap((order) => orderErrors(amounts, order, { path, name })),
      ...ratioErrors(amounts, `${path}.maxLimitRequestRatio[${name}]`),
      ...overcommitErrors(amounts, { path, name }),
    ];
  });
}

type Amounts = Readonly<Record<string, Quantity | undefined>>;

interface Order {
  readonly less: string;
  readonly more: string;
  /** Where it is said, and of whose value. */
  readonly field: string;
  readonly value: string;
}

const words: Readonly<Record<string, string>> = {
  min: 'min value',
  max: 'max value',
  default: 'default value',
  defaultRequest: 'default request value',
};

const orders: readonly Order[] = [
  { less: 'min', more: 'max', field: 'min', value: 'min' },
  { less: 'min', more: 'defaultRequest', field: 'defaultRequest', value: 'defaultRequest' },
  { less: 'defaultRequest', more: 'max', field: 'defaultRequest', value: 'defaultRequest' },
  { less: 'defaultRequest', more: 'default', field: 'defaultRequest', value: 'defaultRequest' },
  { less: 'min', more: 'default', field: 'default', value: 'min' },
  { less: 'default', more: 'max', field: 'default', value: 'max' },
];

function orderErrors(
  amounts: Amounts,
  { less, more, field, value }: Order,
  { path, name }: { readonly path: string; readonly name: string },
): readonly FieldError[] {
  const [small, large, shown] = [amounts[less], amounts[more], amounts[value]];
  if (small === undefined || large === undefined || shown === undefined) return [];
  if (compareQuantity(small, large) <= 0) return [];
  const word = less === 'defaultRequest' && more === 'default' ? 'default limit value' : words[more];
  const detail = `${words[less]} ${formatQuantity(small)} is greater than ${word} ${formatQuantity(large)}`;
  return [invalidField(`${path}.${field}[${name}]`, formatQuantity(shown), detail)];
}

function ratioErrors(
  { min, max, maxLimitRequestRatio: ratio }: Amounts,
  field: string,
): readonly FieldError[] {
  if (ratio === undefined) return [];
  const text = formatQuantity(ratio);
  const small =
    compareQuantity(ratio, one) < 0 ? [invalidField(field, text, `ratio ${text} is less than 1`)] : [];
  if (min === undefined || max === undefined) return small;
  const most = quantityToNumber(max) / quantityToNumber(min);
  return quantityToNumber(ratio) > most
    ? [...small, invalidField(field, text, `ratio ${text} is greater than max/min = ${most.toFixed(6)}`)]
    : small;
}

function overcommitErrors(
  { default: limit, defaultRequest: request }: Amounts,
  { path, name }: { readonly path: string; readonly name: string },
): readonly FieldError[] {
  if (limit === undefined || request === undefined || mayBeOvercommitted(name)) return [];
  if (compareQuantity(limit, request) === 0) return [];
  const [limitText, text] = [formatQuantity(limit), formatQuantity(request)];
  const detail = `default value ${limitText} must equal to defaultRequest value ${text} in ${name}`;
  return [invalidField(`${path}.defaultRequest[${name}]`, text, detail)];
}
