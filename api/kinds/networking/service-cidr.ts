import { at, listOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { validateServiceCidr, validateServiceCidrUpdate } from './service-cidr-validation.ts';

/** Rules of ServiceCIDRs. */
export const serviceCidrRules: KindRules = {
  effect: acted('control-plane/apiserver/services/service-ranges.ts'),
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'changes'],
  validate: validateServiceCidr,
  validatesAll: true,
  validateUpdate: validateServiceCidrUpdate,
  cells: (cidr, now) => [nameOf(cidr), listOf(at(cidr, 'spec.cidrs')).join(','), ageOfObject(cidr, now)],
};
