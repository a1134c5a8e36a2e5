import { at, listOf } from '#api/wire/json.ts';
import { unacted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import { validateServiceCidr } from './service-cidr-validation.ts';

/** Rules of ServiceCIDRs. */
export const serviceCidrRules: KindRules = {
  effect: unacted('Services get addresses of --service-cidr only'),
  tracksGeneration: false,
  validate: validateServiceCidr,
  validatesAll: true,
  validateUpdate: immutable('spec.cidrs'),
  cells: (cidr, now) => [nameOf(cidr), listOf(at(cidr, 'spec.cidrs')).join(','), ageOfObject(cidr, now)],
};
