import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Bindings: a POST puts a pod on its node. */
export const bindingRules: KindRules = {
  effect: acted('control-plane/apiserver/subresources/binding.ts'),
  isStored: false,
};
