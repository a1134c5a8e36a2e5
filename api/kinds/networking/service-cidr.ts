import { at, listOf } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';

/** Rules of ServiceCIDRs. */
export const serviceCidrRules: KindRules = {
  tracksGeneration: false,
  cells: (cidr, now) => [nameOf(cidr), listOf(at(cidr, 'spec.cidrs')).join(','), ageOfObject(cidr, now)],
};
