import type { Kind } from './kinds.ts';
import { rulesOf } from './kinds/rules-of.ts';
import type { AdmissionOptions } from './kinds/rules.ts';
import type { JsonObject } from './object.ts';

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
