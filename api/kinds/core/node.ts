import { stringOf } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Nodes: kubelets register them with their status. */
export const nodeRules: KindRules = {
  defaults: [
    ['status.allocatable', (status) => status['capacity']],
    ['spec.podCIDRs', (spec) => (stringOf(spec['podCIDR']) === '' ? undefined : [spec['podCIDR']])],
  ],
  tracksGeneration: false,
  keepsStatusOnCreate: true,
};
