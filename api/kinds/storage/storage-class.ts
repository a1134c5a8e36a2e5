import { forbiddenField } from '#api/errors/field-error.ts';
import { at, equalJson } from '#api/wire/json.ts';
import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of StorageClasses. */
export const storageClassRules: KindRules = {
  effect: noVolumes,
  answersDeleteWithObject: true,
  defaults: [
    ['reclaimPolicy', 'Delete'],
    ['volumeBindingMode', 'Immediate'],
  ],
  tracksGeneration: false,
  validateUpdate: (old, storageClass) => [
    ...['parameters', 'provisioner', 'reclaimPolicy'].flatMap((field) =>
      equalJson(old[field], storageClass[field])
        ? []
        : [forbiddenField(field, `updates to ${field} are forbidden.`)],
    ),
    ...immutable('volumeBindingMode')(old, storageClass),
  ],
  cells: (storageClass, now) => [
    at(storageClass, ['metadata', 'annotations', 'storageclass.kubernetes.io/is-default-class']) === 'true'
      ? `${nameOf(storageClass)} (default)`
      : nameOf(storageClass),
    text(storageClass, 'provisioner', ''),
    text(storageClass, 'reclaimPolicy', 'Delete'),
    text(storageClass, 'volumeBindingMode', 'Immediate'),
    storageClass['allowVolumeExpansion'] === true,
    ageOfObject(storageClass, now),
  ],
};
