import type { KindRules } from '#api/kinds/rules.ts';
import { qosClass } from '#api/pod/qos.ts';

/** Rules of Pods. */
export const podRules: KindRules = {
  initialStatus: (pod) => ({ phase: 'Pending', qosClass: qosClass(pod) }),
};
