import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, numberOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';

const secondsMin = 600;
const secondsMax = 2 ** 32;

/** Rules of TokenRequests, which are posted to a ServiceAccount. */
export const tokenRequestRules: KindRules = {
  validate: tokenRequestErrors,
};

/** How long a token may live (ValidateTokenRequest of kubernetes pkg/apis/authentication/validation). */
function tokenRequestErrors(request: JsonObject): readonly FieldError[] {
  const field = 'spec.expirationSeconds';
  const seconds = numberOf(at(request, field));
  return [
    ...when(seconds < secondsMin, () =>
      invalidField(field, seconds, 'may not specify a duration less than 10 minutes'),
    ),
    ...when(seconds > secondsMax, () =>
      invalidField(field, seconds, 'may not specify a duration larger than 2^32 seconds'),
    ),
  ];
}
