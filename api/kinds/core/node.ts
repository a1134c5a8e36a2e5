import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Nodes: kubelets register them with their status. */
export const nodeRules: KindRules = {
  tracksGeneration: false,
  keepsStatusOnCreate: true,
};
