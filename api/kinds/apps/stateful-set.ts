import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of StatefulSets. */
export const statefulSetRules: KindRules = {
  defaults: [
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
  podTemplatePath: 'spec.template',
};
