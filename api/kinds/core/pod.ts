import { at, listOf, stringOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import { refusePodLate, refusePodWrite } from '#api/kinds/node-writes/pod.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { joinTwins } from '#api/kinds/twin-fields.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { podParts } from './pod-parts.ts';
import { appArmorWarnings, withAppArmorFields } from '#api/pod/app-armor.ts';
import { qosClass } from '#api/pod/qos.ts';
import { podCells, podRowConditions } from '#api/table/pod.ts';
import { validateNewPod, validatePod } from '#api/validation/pod/pod.ts';
import { validatePodStatus } from '#api/validation/pod/status.ts';
import { validatePodUpdate } from '#api/validation/pod/update.ts';
import { podAddressWarnings } from '#api/warnings/address.ts';
import { admitPod } from './pod-admission.ts';

/** Rules of Pods. */
export const podRules: KindRules = {
  effect: acted('agent/kubelet/sync/pod-workers.ts'),
  podSpec: { path: 'spec', isTemplate: false },
  completeDefaults: (pod) =>
    joinTwins(pod, { holder: 'status', single: 'podIP', list: 'podIPs', member: 'ip' }),
  admit: admitPod,
  growsByUpdate: true,
  refuseNode: refusePodWrite,
  refuseNodeLate: refusePodLate,
  initialStatus: (pod) => ({ phase: 'Pending', qosClass: qosClass(pod) }),
  earlyWarnings: appArmorWarnings,
  statusWarnings: podAddressWarnings,
  prepareCreate: withAppArmorFields,
  // Kubelets of old left it out when they refused a pod.
  prepareStatusUpdate: (old, pod) => {
    // Kubelets of before would take owners away with what they tell.
    const owned = withPath(pod, 'metadata.ownerReferences', at(old, 'metadata.ownerReferences'));
    return stringOf(at(pod, 'status.qosClass')) === ''
      ? withPath(owned, 'status.qosClass', at(old, 'status.qosClass'))
      : owned;
  },
  validate: validatePod,
  validateCreate: validateNewPod,
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: validatePodStatus,
  validatesAll: true,
  parts: podParts,
  reset: {
    status: { fields: ['spec', 'metadata.deletionTimestamp', 'metadata.ownerReferences'] },
    ephemeralcontainers: { only: ['spec.ephemeralContainers'] },
    resize: {
      only: [
        'spec.resources',
        ...['containers', 'initContainers'].flatMap((list) => [
          `spec.${list}.*.resources`,
          `spec.${list}.*.resizePolicy`,
        ]),
      ],
    },
  },
  graceSeconds: podGraceSeconds,
  answersDeleteWithObject: true,
  selectableFields: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    ['spec.hostNetwork', (pod) => String(at(pod, 'spec.hostNetwork') === true)],
    'status.phase',
    'status.podIP',
    [
      'status.podIPs',
      (pod) =>
        listOf(at(pod, 'status.podIPs'))
          .map((entry) => stringOf(at(entry, 'ip')))
          .join(','),
    ],
    'status.nominatedNodeName',
  ],
  cells: (object, now) => podCells(typed(object), now),
  rowConditions: (object) => podRowConditions(typed(object)),
};

const defaultGraceSeconds = 30;

/** Only pods that run somewhere need time to go. */
function podGraceSeconds(pod: JsonObject, asked: number | undefined): number {
  const phase = at(pod, 'status.phase');
  if (stringOf(at(pod, 'spec.nodeName')) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = at(pod, 'spec.terminationGracePeriodSeconds');
  const seconds = asked ?? (typeof own === 'number' ? own : defaultGraceSeconds);
  return seconds < 0 ? 1 : seconds;
}
