import { typed } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { configMapCells } from '#api/table/core.ts';
import { validateConfigMap, validateConfigMapUpdate } from '#api/validation/config.ts';

/** Rules of ConfigMaps. */
export const configMapRules: KindRules = {
  tracksGeneration: false,
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
  cells: (object, now) => configMapCells(typed(object), now),
};
