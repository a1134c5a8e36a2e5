import { at } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import { storageClassWarnings } from '#api/warnings/storage.ts';
import { changeErrors, validateStorageClass } from './storage-validation.ts';

/** Rules of StorageClasses. */
export const storageClassRules: KindRules = {
  effect: acted('control-plane/controllers/persistent-volume/reconcile.ts'),
  answersDeleteWithObject: true,
  defaults: [
    ['reclaimPolicy', 'Delete'],
    ['volumeBindingMode', 'Immediate'],
  ],
  tracksGeneration: false,
  validate: validateStorageClass,
  validateUpdate: (old, storageClass) => [
    ...changeErrors(old, storageClass, ['parameters', 'provisioner', 'reclaimPolicy']),
    ...immutable('volumeBindingMode')(old, storageClass),
  ],
  warnings: storageClassWarnings,
  cells: (storageClass, now) => [
    marks.some((mark) => at(storageClass, ['metadata', 'annotations', mark]) === 'true')
      ? `${nameOf(storageClass)} (default)`
      : nameOf(storageClass),
    text(storageClass, 'provisioner', ''),
    text(storageClass, 'reclaimPolicy', 'Delete'),
    text(storageClass, 'volumeBindingMode', 'Immediate'),
    storageClass['allowVolumeExpansion'] === true,
    ageOfObject(storageClass, now),
  ],
};

/** Of the default class; the second is of before 1.6. */
const marks = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
