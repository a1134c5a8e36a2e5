/** Where rules of CEL stand in a schema. */
import type { JsonSchema } from './json-schema.ts';

export interface RulePlace {
  /** As of `pathsOf`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** All rules of a schema and of its parts, as often as they stand there. */
export function rulePlaces(schema: JsonSchema, path: readonly string[] = []): readonly RulePlace[] {
  const { properties = {}, items, additionalProperties } = schema;
  const parts: readonly (readonly [string, JsonSchema])[] = [
    ...Object.entries(properties),
    ...(items === undefined ? [] : [['[]', items] as const]),
    ...(typeof additionalProperties === 'object' ? [['{}', additionalProperties] as const] : []),
  ];
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ rule, message, messageExpression }) => ({
    path,
    message: message ?? messageExpression ?? `failed rule: ${rule.trim()}`,
  }));
  return [...own, ...parts.flatMap(([name, part]) => rulePlaces(part, [...path, name]))];
}
