/** What becomes of each field of a file that configures one of Kubernetes' servers, where ours does some of it by itself. */
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson } from '#api/wire/json.ts';
import type { FieldShape } from './config-document.ts';

export type FieldEffect =
  /** Acted on. */
  | { readonly kind: 'acted' }
  /** What is so, whatever it says: values that ask for that, and why others have no effect. */
  | { readonly kind: 'fixed'; readonly values: readonly unknown[]; readonly why: string };

export interface ConfigurationField {
  readonly shape: FieldShape;
  readonly effect: FieldEffect;
}

/** Acted on. */
export const acted = (shape: FieldShape): ConfigurationField => ({ shape, effect: { kind: 'acted' } });
/** `values`: what is so anyway. */
export const fixed = (shape: FieldShape, why: string, ...values: readonly unknown[]): ConfigurationField => ({
  shape,
  effect: { kind: 'fixed', values, why },
});

/** What of a configuration has no effect, each with its field, what it says and why. Pure. */
export function fieldsWithoutEffect(
  configuration: JsonObject,
  fields: Readonly<Record<string, ConfigurationField>>,
): readonly string[] {
  return Object.entries(fields).flatMap(([name, { effect }]) => {
    const value = configuration[name];
    if (effect.kind === 'acted' || value === undefined || value === null) return [];
    if (effect.values.some((same) => equalJson(same, value))) return [];
    return [`${name}: ${JSON.stringify(value)} has no effect: ${effect.why}`];
  });
}
