import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import { gatewayRules } from './gateway-rules.ts';
import type { JsonSchema } from './json-schema.ts';
import { otherRules } from './other-rules.ts';
import { ownRules } from './own-definition.ts';
import type { RuleCase } from './rule-case.ts';

/** By the messages of their rules. */
export const ruleCases: ReadonlyMap<string, RuleCase> = new Map(
  [...gatewayRules, ...otherRules, ...ownRules].map((each) => [each.message, each]),
);

/** An object that a rule of the schema allows, of those that have the wanted member if there are any; undefined where no rule is known. */
export function allowedObject(schema: JsonSchema, wanted: string | undefined): JsonObject | undefined {
  const allowed = (schema['x-kubernetes-validations'] ?? [])
    .map(({ message = '' }) => ruleCases.get(message)?.allowed)
    .filter(isObject);
  return allowed.find((object) => wanted !== undefined && Object.hasOwn(object, wanted)) ?? allowed[0];
}
