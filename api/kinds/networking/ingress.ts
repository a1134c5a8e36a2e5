import type { KindRules } from '#api/kinds/rules.ts';
import { validateIngress } from '#api/validation/service.ts';

/** Rules of Ingresses. */
export const ingressRules: KindRules = {
  validate: validateIngress,
};
