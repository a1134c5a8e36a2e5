import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CSIDrivers. */
export const csiDriverRules: KindRules = {
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
};
