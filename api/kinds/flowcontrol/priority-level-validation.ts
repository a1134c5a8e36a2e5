import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalStored, isObject, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';

const types = ['Exempt', 'Limited'];
const responses = ['Queue', 'Reject'];
const queuesMax = 10_000_000;
/** Bits of the hash that deals hands of queues out (k8s.io/apiserver pkg/util/shufflesharding). */
const hashBits = 60;
const fixedLevel = {
  type: 'Limited',
  limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
};

/** Complaints about a PriorityLevelConfiguration (kubernetes pkg/apis/flowcontrol/validation). */
export function validatePriorityLevel(level: JsonObject): readonly FieldError[] {
  const spec = objectOf(level['spec']);
  const name = stringOf(at(level, 'metadata.name'));
  const type = stringOf(spec['type']);
  return [
    ...when((name === 'exempt') !== (type === 'Exempt'), () =>
      invalidField('spec.type', type, "must be 'Exempt' if and only if `name` is 'exempt'"),
    ),
    ...typeErrors(spec, type),
    ...fixedErrors(name, spec),
  ];
}

/** What two levels must say; of `exempt` its shares are free. */
function fixedErrors(name: string, spec: JsonObject): readonly FieldError[] {
  const { exempt: _shares, ...rest } = spec;
  const isChanged =
    (name === 'catch-all' && !equalStored(fixedLevel, spec)) ||
    (name === 'exempt' && !equalStored({ type: 'Exempt' }, rest));
  const except = name === 'exempt' ? " except the 'spec.exempt' field" : '';
  return when(isChanged, () =>
    invalidStruct(
      'spec',
      goValue('flowcontrol.v1.PriorityLevelConfigurationSpec', spec),
      `spec of '${name}'${except} must equal the fixed value`,
    ),
  );
}

function typeErrors(spec: JsonObject, type: string): readonly FieldError[] {
  const { limited, exempt } = spec;
  switch (type) {
    case 'Exempt':
      return [
        ...when(isObject(limited), () =>
          forbiddenField('spec.limited', 'must be nil if the type is not Limited'),
        ),
        ...(isObject(exempt) ? shareErrors(exempt, 'spec.exempt') : []),
      ];
    case 'Limited':
      return [
        ...when(isObject(exempt), () => forbiddenField('spec.exempt', 'must be nil if the type is Limited')),
        ...(isObject(limited)
          ? limitedErrors(limited, 'spec.limited')
          : [requiredField('spec.limited', 'must not be empty when type is Limited')]),
      ];
    default:
      return [notSupportedField('spec.type', type, types)];
  }
}

function sharesErrors(holder: JsonObject, path: string): readonly FieldError[] {
  const shares = holder['nominalConcurrencyShares'];
  return when(numberOf(shares) < 0, () =>
    invalidField(`${path}.nominalConcurrencyShares`, shares, 'must be a non-negative integer'),
  );
}

function lendableErrors(holder: JsonObject, path: string): readonly FieldError[] {
  const percent = holder['lendablePercent'];
  return when(numberOf(percent) < 0 || numberOf(percent) > 100, () =>
    invalidField(`${path}.lendablePercent`, percent, 'must be between 0 and 100, inclusive'),
  );
}

function shareErrors(exempt: JsonObject, path: string): readonly FieldError[] {
  return [...sharesErrors(exempt, path), ...lendableErrors(exempt, path)];
}

function limitedErrors(limited: JsonObject, path: string): readonly FieldError[] {
  const borrowing = limited['borrowingLimitPercent'];
  return [
    ...sharesErrors(limited, path),
    ...responseErrors(objectOf(limited['limitResponse']), `${path}.limitResponse`),
    ...lendableErrors(limited, path),
    ...when(numberOf(borrowing) < 0, () =>
      invalidField(
        `${path}.borrowingLimitPercent`,
        borrowing,
        'if specified, must be a non-negative integer',
      ),
    ),
  ];
}

function responseErrors({ type, queuing }: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.queuing`;
  switch (type) {
    case 'Reject':
      return when(isObject(queuing), () =>
        forbiddenField(field, 'must be nil if limited.limitResponse.type is not Limited'),
      );
    case 'Queue':
      return isObject(queuing)
        ? queuingErrors(queuing, field)
        : [requiredField(field, 'must not be empty if limited.limitResponse.type is Limited')];
    default:
      return [notSupportedField(`${path}.type`, type ?? '', responses)];
  }
}

function queuingErrors(queuing: JsonObject, path: string): readonly FieldError[] {
  const [queues, hand, length] = ['queues', 'handSize', 'queueLengthLimit'].map((name) =>
    numberOf(queuing[name]),
  ) as [number, number, number];
  const positive = (field: string, value: number): readonly FieldError[] =>
    when(value <= 0, () => invalidField(`${path}.${field}`, value, 'must be positive'));
  return [
    ...positive('queueLengthLimit', length),
    ...positive('queues', queues),
    ...when(queues > queuesMax, () =>
      invalidField(`${path}.queues`, queues, `must not be greater than ${queuesMax}`),
    ),
    ...positive('handSize', hand),
    ...handErrors(queues, hand, `${path}.handSize`),
  ];
}

function handErrors(queues: number, hand: number, field: string): readonly FieldError[] {
  if (hand <= 0) return [];
  if (hand > queues) {
    return [invalidField(field, hand, `should not be greater than queues (${queues})`)];
  }
  const text = `required entropy bits of deckSize ${queues} and handSize ${hand} should not be greater than ${hashBits}`;
  return when(entropyBits(queues, hand) > hashBits, () => invalidField(field, hand, text));
}

/** Bits of the hash that it takes to deal a hand (RequiredEntropyBits). */
function entropyBits(queues: number, hand: number): number {
  return Math.ceil(Math.log2(queues) * hand);
}
