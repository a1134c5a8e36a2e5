import { typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { resourceQuotaCells } from '#api/table/core.ts';
import {
  validateResourceQuota,
  validateResourceQuotaStatus,
  validateResourceQuotaUpdate,
} from '#api/validation/resource-quota.ts';

/** Rules of ResourceQuotas. */
export const resourceQuotaRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/quota/resource-quota.ts'),
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'object', 'changes'],
  validate: validateResourceQuota,
  validateUpdate: validateResourceQuotaUpdate,
  validateStatus: validateResourceQuotaStatus,
  answersDeleteWithObject: true,
  cells: (object, now) => resourceQuotaCells(typed(object), now),
};
