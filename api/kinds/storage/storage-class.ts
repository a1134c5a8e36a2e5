import { forbiddenField } from '#api/field-error.ts';
import { equalJson } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of StorageClasses. */
export const storageClassRules: KindRules = {
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
};
