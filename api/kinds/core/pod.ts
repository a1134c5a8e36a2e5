import { at, listOf, numberOf, objectOf, objectsOf, stringOf, typed, withPath } from '#api/wire/json.ts';
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
  initialStatus: (pod) => ({ phase: 'Pending', qosClass: qosClass(pod), ...gatedCondition(pod) }),
  earlyWarnings: appArmorWarnings,
  statusWarnings: podAddressWarnings,
  prepareCreate: withAppArmorFields,
  prepareStatusUpdate: keepOfStatus,
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

/** A pod with gates says from the first why nobody schedules it (applySchedulingGatedCondition). */
function gatedCondition(pod: JsonObject): JsonObject {
  if (listOf(at(pod, 'spec.schedulingGates')).length === 0) return {};
  return {
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ],
  };
}

/** The new status with what kubelets of before leave out of it, or would take away with it (podStatusStrategy). */
function keepOfStatus(old: JsonObject, pod: JsonObject): JsonObject {
  const before = objectOf(old['status']);
  const { qosClass: given, observedGeneration, conditions, ...rest } = objectOf(pod['status']);
  const quality = stringOf(given) === '' ? before['qosClass'] : given;
  const seen = numberOf(observedGeneration) === 0 ? before['observedGeneration'] : observedGeneration;
  const status = {
    ...rest,
    ...(seen === undefined ? {} : { observedGeneration: seen }),
    ...(conditions === undefined ? {} : { conditions: keepSeen(before, objectsOf(conditions)) }),
    ...(quality === undefined ? {} : { qosClass: quality }),
  };
  return withPath({ ...pod, status }, 'metadata.ownerReferences', at(old, 'metadata.ownerReferences'));
}

/** Which generation a condition was told of, of the one of its type before; there may be several of a type, one after the other. */
function keepSeen(before: JsonObject, conditions: readonly JsonObject[]): readonly JsonObject[] {
  const known = Map.groupBy(objectsOf(before['conditions']), ({ type }) => type);
  return conditions.map((condition) => {
    const seen = known.get(condition['type'])?.shift()?.['observedGeneration'];
    return numberOf(condition['observedGeneration']) === 0 && seen !== undefined
      ? { ...condition, observedGeneration: seen }
      : condition;
  });
}

const defaultGraceSeconds = 30;

/** Only pods that run somewhere need time to go. */
function podGraceSeconds(pod: JsonObject, asked: number | undefined): number {
  const phase = at(pod, 'status.phase');
  if (stringOf(at(pod, 'spec.nodeName')) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = at(pod, 'spec.terminationGracePeriodSeconds');
  const seconds = asked ?? (typeof own === 'number' ? own : defaultGraceSeconds);
  return seconds < 0 ? 1 : seconds;
}
