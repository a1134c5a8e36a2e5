import { defaultPodSpec } from '#api/defaults/pod.ts';
import { holdersAt } from '#api/defaults/rule.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { qosClass } from '#api/pod/qos.ts';

/** Rules of Pods. */
export const podRules: KindRules = {
  completeDefaults: (pod) => holdersAt(pod, 'spec').forEach(defaultPodSpec),
  initialStatus: (pod) => ({ phase: 'Pending', qosClass: qosClass(pod) }),
};
