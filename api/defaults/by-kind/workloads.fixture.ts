import { rowsOf, template, type DefaultRow } from './row.fixture.ts';

const rolling = 'spec.updateStrategy';
export const appsRows: readonly DefaultRow[] = [
  ...rowsOf('apps/v1 Deployment', [
    [
      'Deployment',
      { spec: {} },
      {
        'spec.replicas': 1,
        'spec.strategy': { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
        'spec.revisionHistoryLimit': 10,
        'spec.progressDeadlineSeconds': 600,
      },
    ],
    [
      'Deployment',
      { spec: { replicas: 0, strategy: { type: 'Recreate' } } },
      { 'spec.replicas': 0, 'spec.strategy': { type: 'Recreate' } },
    ],
    [
      'Deployment',
      { spec: { strategy: { rollingUpdate: { maxSurge: 0 } } } },
      { 'spec.strategy.rollingUpdate': { maxUnavailable: '25%', maxSurge: 0 } },
    ],
  ]),
  ...rowsOf('apps/v1 DaemonSet', [
    [
      'DaemonSet',
      { spec: {} },
      {
        [rolling]: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        'spec.revisionHistoryLimit': 10,
      },
    ],
    ['DaemonSet', { spec: { updateStrategy: { type: 'OnDelete' } } }, { [rolling]: { type: 'OnDelete' } }],
  ]),
  ...rowsOf('apps/v1 StatefulSet', [
    [
      'StatefulSet',
      { spec: {} },
      {
        'spec.podManagementPolicy': 'OrderedReady',
        [rolling]: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        'spec.replicas': 1,
        'spec.revisionHistoryLimit': 10,
        'spec.persistentVolumeClaimRetentionPolicy': { whenDeleted: 'Retain', whenScaled: 'Retain' },
      },
    ],
    [
      'StatefulSet',
      { spec: { updateStrategy: { type: 'RollingUpdate' } } },
      { [rolling]: { type: 'RollingUpdate' } },
    ],
    [
      'StatefulSet',
      { spec: { updateStrategy: { type: 'RollingUpdate', rollingUpdate: {} } } },
      { [`${rolling}.rollingUpdate.partition`]: 0 },
    ],
    [
      'StatefulSet',
      { spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: {} } } },
      { [`${rolling}.rollingUpdate.partition`]: undefined },
    ],
    [
      'PersistentVolumeClaim',
      { spec: { volumeClaimTemplates: [{ spec: {} }] } },
      {
        'spec.volumeClaimTemplates.0.status.phase': 'Pending',
        'spec.volumeClaimTemplates.0.spec.volumeMode': 'Filesystem',
      },
    ],
  ]),
  ...rowsOf('apps/v1 ReplicaSet', [['ReplicaSet', { spec: {} }, { 'spec.replicas': 1 }]]),
];

export const batchRows: readonly DefaultRow[] = [
  ...rowsOf('batch/v1 Job', [
    [
      'Job',
      { spec: {} },
      {
        'spec.completions': 1,
        'spec.parallelism': 1,
        'spec.backoffLimit': 6,
        'spec.completionMode': 'NonIndexed',
        'spec.suspend': false,
        'spec.podReplacementPolicy': 'TerminatingOrFailed',
        'spec.manualSelector': false,
      },
    ],
    ['Job', { spec: { completions: 3 } }, { 'spec.parallelism': 1, 'spec.completions': 3 }],
    ['Job', { spec: { parallelism: 3 } }, { 'spec.completions': undefined }],
    [
      'Job',
      {
        spec: {
          backoffLimitPerIndex: 1,
          podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'T' }] }] },
        },
      },
      {
        'spec.backoffLimit': 2_147_483_647,
        'spec.podReplacementPolicy': 'Failed',
        'spec.podFailurePolicy.rules.0.onPodConditions.0.status': 'True',
      },
    ],
    ['Job', template, { 'metadata.labels': { a: 'b' } }],
    ['Job', { metadata: { labels: { c: 'd' } }, ...template }, { 'metadata.labels': { c: 'd' } }],
  ]),
  ...rowsOf('batch/v1 CronJob', [
    [
      'CronJob',
      { spec: {} },
      {
        'spec.concurrencyPolicy': 'Allow',
        'spec.suspend': false,
        'spec.successfulJobsHistoryLimit': 3,
        'spec.failedJobsHistoryLimit': 1,
      },
    ],
    [
      'CronJob',
      { spec: { jobTemplate: template } },
      { 'spec.jobTemplate.spec.backoffLimit': undefined, 'spec.jobTemplate.metadata.labels': undefined },
    ],
  ]),
  ...rowsOf('autoscaling/v2 HorizontalPodAutoscaler', [
    [
      'HorizontalPodAutoscaler',
      { spec: {} },
      {
        'spec.minReplicas': 1,
        'spec.behavior': undefined,
        'spec.metrics': [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
          },
        ],
      },
    ],
    ['HorizontalPodAutoscaler', { spec: { metrics: [] } }, { 'spec.metrics.0.type': 'Resource' }],
    [
      'HorizontalPodAutoscalerBehavior',
      { spec: { behavior: { scaleDown: { selectPolicy: 'Min' } } } },
      {
        'spec.behavior.scaleDown': {
          selectPolicy: 'Min',
          policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
        },
        'spec.behavior.scaleUp': {
          stabilizationWindowSeconds: 0,
          selectPolicy: 'Max',
          policies: [
            { type: 'Pods', value: 4, periodSeconds: 15 },
            { type: 'Percent', value: 100, periodSeconds: 15 },
          ],
        },
      },
    ],
  ]),
];
