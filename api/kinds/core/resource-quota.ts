import { invalidField } from '#api/errors/field-error.ts';
import { at, objectOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { resourceQuotaCells } from '#api/table/core.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

/** Rules of ResourceQuotas. */
export const resourceQuotaRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/resource-quota.ts'),
  tracksGeneration: false,
  validate: (quota) =>
    Object.entries(objectOf(at(quota, 'spec.hard'))).flatMap(([name, value]) => [
      ...formatErrors(`spec.hard[${name}]`, name, qualifiedName),
      ...((tryParseQuantity(value)?.nanos ?? 0n) < 0n
        ? [invalidField(`spec.hard[${name}]`, value, 'must be greater than or equal to 0')]
        : []),
    ]),
  answersDeleteWithObject: true,
  cells: (object, now) => resourceQuotaCells(typed(object), now),
};
