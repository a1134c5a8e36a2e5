import { defaultPodSpec, defaultPodTemplateSpec } from './pod.ts';
import { applyRules, holdersAt } from './rule.ts';
import { fillSchemaDefaults } from './schema.ts';
import { draftOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';

/**
 * A copy of a decoded object with the kind's defaults filled in, for every write (create, update, patch).
 * What depends on the rest of the cluster (addresses, classes, service accounts) is no default: see admission.
 */
export function applyDefaults(
  kind: Pick<Kind, 'group' | 'kind' | 'schema' | 'typeName' | 'custom'>,
  object: JsonObject,
): JsonObject {
  const whole = kind.schema.fillDefaults?.(kind.typeName, object);
  if (whole !== undefined && kind.custom !== undefined) return whole;
  const draft = draftOf(whole ?? object);
  if (whole === undefined && kind.schema.fillsDefaults) fillSchemaDefaults(kind, draft);
  const { defaults = [], podSpec, completeDefaults } = rulesOf(kind);
  applyRules(draft, defaults);
  if (podSpec !== undefined) {
    holdersAt(draft, podSpec.path).forEach(podSpec.isTemplate ? defaultPodTemplateSpec : defaultPodSpec);
  }
  completeDefaults?.(draft);
  return draft;
}
