import { typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { configMapCells } from '#api/table/core.ts';
import { validateConfigMap, validateConfigMapUpdate } from '#api/validation/config.ts';

/** Rules of ConfigMaps. */
export const configMapRules: KindRules = {
  effect: acted('agent/kubelet/referenced-objects.ts'),
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'changes', 'metadata', 'object'],
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
  cells: (object, now) => configMapCells(typed(object), now),
};
