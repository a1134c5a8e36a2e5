import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of IngressClasses. */
export const ingressClassRules: KindRules = {
  defaults: [['spec.parameters.scope', 'Cluster']],
};
