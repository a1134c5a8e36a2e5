import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { AdmissionOptions } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';

/**
 * What the default admission plugins add to a new object and needs no look at others: service account, priority, tolerations and
 * token volume of pods, the taint of new nodes, finalizers of volumes. Order: applyDefaults, admitCreate, prepareCreate.
 */
export function admitCreate(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  options: AdmissionOptions = {},
): JsonObject {
  return rulesOf(kind).admit?.(object, options) ?? object;
}
