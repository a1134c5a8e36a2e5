import { protectedBy } from '#api/kinds/core/storage-protection.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { changeErrors, validateVolumeAttributesClass } from './storage-validation.ts';

/** Rules of VolumeAttributesClasses. */
export const volumeAttributesClassRules: KindRules = {
  effect: acted('control-plane/csi/modify.ts'),
  admit: protectedBy('kubernetes.io/vac-protection'),
  answersDeleteWithObject: true,
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'changes', 'metadata', 'object'],
  validate: validateVolumeAttributesClass,
  validateUpdate: (old, attributes) => changeErrors(old, attributes, ['driverName', 'parameters']),
  cells: (attributes, now) => [
    nameOf(attributes),
    text(attributes, 'driverName', ''),
    ageOfObject(attributes, now),
  ],
};
