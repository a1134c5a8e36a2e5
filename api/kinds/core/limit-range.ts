import { holdersAt } from '#api/defaults/rule.ts';
import { objectOf, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { validateLimitRange } from '#api/validation/limit-range.ts';

/** Rules of LimitRanges. */
export const limitRangeRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/pods/limit-ranger.ts'),
  completeDefaults: (range) => holdersAt(range, 'spec.limits[]').forEach(defaultLimits),
  tracksGeneration: false,
  createdByUpdate: true,
  updateChecks: ['metadata', 'object'],
  validate: validateLimitRange,
};

/** LimitRange: default follows max, defaultRequest follows default and then min, for containers only. */
function defaultLimits(limit: Draft): void {
  if (limit['type'] !== 'Container') return;
  const given = (field: string): Draft => ({ ...objectOf(limit[field]) });
  const limits = { ...given('max'), ...given('default') };
  const requests = { ...given('min'), ...limits, ...given('defaultRequest') };
  if (Object.keys(limits).length > 0) limit['default'] = limits;
  if (Object.keys(requests).length > 0) limit['defaultRequest'] = requests;
}
