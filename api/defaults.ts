import { defaultPodSpec, defaultPodTemplateSpec } from './defaults/pod.ts';
import { applyRules, holdersAt } from './defaults/rule.ts';
import { fillSchemaDefaults } from './defaults/schema.ts';
import { draftOf } from './json.ts';
import type { Kind } from './kinds.ts';
import { rulesOf } from './kinds/rules-of.ts';
import type { JsonObject } from './object.ts';

/**
 * A copy of a decoded object with the kind's defaults filled in, for every write (create, update, patch).
 * What depends on the rest of the cluster (addresses, classes, service accounts) is no default: see admission.
 */
export function applyDefaults(
  kind: Pick<Kind, 'group' | 'kind' | 'schema' | 'typeName'>,
  object: JsonObject,
): JsonObject {
  const draft = draftOf(object);
  if (kind.schema.fillsDefaults) fillSchemaDefaults(kind, draft);
  const { defaults = [], podSpec, completeDefaults } = rulesOf(kind);
  applyRules(draft, defaults);
  if (podSpec !== undefined) {
    holdersAt(draft, podSpec.path).forEach(podSpec.isTemplate ? defaultPodTemplateSpec : defaultPodSpec);
  }
  completeDefaults?.(draft);
  return draft;
}
