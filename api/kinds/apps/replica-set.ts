import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ReplicaSets. */
export const replicaSetRules: KindRules = {
  defaults: [['spec.replicas', 1]],
  podTemplatePath: 'spec.template',
};
