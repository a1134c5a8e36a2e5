import { at, objectOf, type Draft } from '#api/json.ts';
import { defaultPodTemplateSpec } from './pod.ts';
import { applyRules, holdersAt, type DefaultRule } from './rule.ts';

/** Where each kind keeps its pod template. */
export const templatePaths: Readonly<Record<string, string>> = {
  '/ReplicationController': 'spec.template',
  '/PodTemplate': 'template',
  'apps/Deployment': 'spec.template',
  'apps/ReplicaSet': 'spec.template',
  'apps/StatefulSet': 'spec.template',
  'apps/DaemonSet': 'spec.template',
  'batch/Job': 'spec.template',
  'batch/CronJob': 'spec.jobTemplate.spec.template',
};

/** Defaults of the pod template of a workload, in place. */
export function defaultTemplate(key: string, object: Draft): void {
  const path = templatePaths[key];
  if (path === undefined) return;
  for (const spec of holdersAt(object, `${path}.spec`)) defaultPodTemplateSpec(spec);
}

/** Defaults of the kinds that run pods, by `group/Kind`; their templates apart. */
export const workloadRules: Readonly<Record<string, readonly DefaultRule[]>> = {
  '/ReplicationController': [
    ['spec.replicas', 1],
    ['spec.selector', (_spec, object) => templateLabels(object)],
    ['metadata.labels', (_metadata, object) => templateLabels(object)],
  ],
  'apps/Deployment': [
    ['spec.replicas', 1],
    ['spec.strategy', {}],
    ['spec.strategy.type', 'RollingUpdate'],
    ['spec.strategy.rollingUpdate', (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined)],
    ['spec.strategy.rollingUpdate.maxUnavailable', '25%'],
    ['spec.strategy.rollingUpdate.maxSurge', '25%'],
    ['spec.revisionHistoryLimit', 10],
    ['spec.progressDeadlineSeconds', 600],
  ],
  'apps/ReplicaSet': [['spec.replicas', 1]],
  'apps/StatefulSet': [
    ['spec.replicas', 1],
    ['spec.podManagementPolicy', 'OrderedReady'],
    ['spec.updateStrategy', {}],
    ['spec.updateStrategy.type', 'RollingUpdate'],
    [
      'spec.updateStrategy.rollingUpdate',
      (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined),
    ],
    ['spec.updateStrategy.rollingUpdate.partition', 0],
    ['spec.revisionHistoryLimit', 10],
    ['spec.persistentVolumeClaimRetentionPolicy', {}],
    ['spec.persistentVolumeClaimRetentionPolicy.whenDeleted', 'Retain'],
    ['spec.persistentVolumeClaimRetentionPolicy.whenScaled', 'Retain'],
    ['spec.serviceName', () => ''],
    ['spec.volumeClaimTemplates[].kind', 'PersistentVolumeClaim'],
    ['spec.volumeClaimTemplates[].apiVersion', 'v1'],
    ['spec.volumeClaimTemplates[].spec.volumeMode', 'Filesystem'],
    ['spec.volumeClaimTemplates[].status', {}],
    ['spec.volumeClaimTemplates[].status.phase', 'Pending'],
  ],
  'apps/DaemonSet': [
    ['spec.updateStrategy', {}],
    ['spec.updateStrategy.type', 'RollingUpdate'],
    [
      'spec.updateStrategy.rollingUpdate',
      (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined),
    ],
    ['spec.updateStrategy.rollingUpdate.maxUnavailable', 1],
    ['spec.updateStrategy.rollingUpdate.maxSurge', 0],
    ['spec.revisionHistoryLimit', 10],
  ],
  'batch/Job': jobRules('spec'),
  'batch/CronJob': [
    ['spec.concurrencyPolicy', 'Allow'],
    ['spec.suspend', false],
    ['spec.successfulJobsHistoryLimit', 3],
    ['spec.failedJobsHistoryLimit', 1],
  ],
  'autoscaling/HorizontalPodAutoscaler': [
    ['spec.minReplicas', 1],
    ['spec.targetCPUUtilizationPercentage', (_spec, object) => (isAutoscalingV1(object) ? 80 : undefined)],
    ['spec.metrics', (_spec, object) => (isAutoscalingV1(object) ? undefined : [cpuMetric])],
    ['spec.behavior.scaleUp', {}],
    ['spec.behavior.scaleUp.stabilizationWindowSeconds', 0],
    ['spec.behavior.scaleUp.selectPolicy', 'Max'],
    [
      'spec.behavior.scaleUp.policies',
      [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    ],
    ['spec.behavior.scaleDown', {}],
    ['spec.behavior.scaleDown.selectPolicy', 'Max'],
    ['spec.behavior.scaleDown.policies', [{ type: 'Percent', value: 100, periodSeconds: 15 }]],
  ],
};

const cpuMetric = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

function jobRules(spec: string): readonly DefaultRule[] {
  return [
    // Both unset means one pod that has to succeed; completions alone means a fixed count, one at a time.
    [`${spec}.completions`, (job) => (job['parallelism'] === undefined ? 1 : undefined)],
    [`${spec}.parallelism`, 1],
    [`${spec}.backoffLimit`, (job) => (job['backoffLimitPerIndex'] === undefined ? 6 : 2_147_483_647)],
    [`${spec}.completionMode`, 'NonIndexed'],
    [`${spec}.suspend`, false],
    [`${spec}.manualSelector`, false],
    [
      `${spec}.podReplacementPolicy`,
      (job) => (job['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed'),
    ],
    [`${spec}.podFailurePolicy.rules[].onPodConditions[].status`, 'True'],
  ];
}

function templateLabels(object: Draft): unknown {
  const labels = objectOf(at(object, 'spec.template.metadata.labels'));
  return Object.keys(labels).length === 0 ? undefined : { ...labels };
}

function isAutoscalingV1(object: Draft): boolean {
  return object['apiVersion'] === 'autoscaling/v1';
}

/** Runs the rules of a kind that have one (`apps/Deployment`). */
export function applyWorkloadDefaults(key: string, object: Draft): void {
  applyRules(object, workloadRules[key] ?? []);
  defaultTemplate(key, object);
}
