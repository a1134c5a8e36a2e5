import { listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { unset } from '#api/table/text.ts';
import { validateCsiDriver, validateCsiDriverUpdate } from './storage-validation.ts';

/** Rules of CSIDrivers. */
export const csiDriverRules: KindRules = {
  effect: acted('agent/volume/csi/csi-volumes.ts'),
  answersDeleteWithObject: true,
  defaults: [
    ['spec.attachRequired', true],
    ['spec.podInfoOnMount', false],
    ['spec.volumeLifecycleModes', ['Persistent']],
    ['spec.storageCapacity', false],
    ['spec.fsGroupPolicy', 'ReadWriteOnceWithFSType'],
    ['spec.requiresRepublish', false],
    ['spec.seLinuxMount', false],
  ],
  tracksGeneration: false,
  updatesNameRevision: true,
  updateChecks: ['metadata changes', 'object', 'changes'],
  validate: validateCsiDriver,
  validateUpdate: validateCsiDriverUpdate,
  generationCounts: {
    only: ['tokenRequests', 'requiresRepublish', 'seLinuxMount', 'nodeAllocatableUpdatePeriodSeconds'].map(
      (field) => `spec.${field}`,
    ),
  },
  cells: (driver, now) => {
    const spec = objectOf(driver['spec']);
    const audiences = objectsOf(spec['tokenRequests']).map(({ audience }) => stringOf(audience));
    return [
      nameOf(driver),
      spec['attachRequired'] !== false,
      spec['podInfoOnMount'] === true,
      spec['storageCapacity'] === true,
      audiences.length === 0 ? unset : audiences.join(','),
      spec['requiresRepublish'] === true,
      listOf(spec['volumeLifecycleModes']).join(','),
      ageOfObject(driver, now),
    ];
  },
};
