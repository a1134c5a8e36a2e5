import type { KindRules } from '#api/kinds/rules.ts';
import { validateConfigMap, validateConfigMapUpdate } from '#api/validation/config.ts';

/** Rules of ConfigMaps. */
export const configMapRules: KindRules = {
  tracksGeneration: false,
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
};
