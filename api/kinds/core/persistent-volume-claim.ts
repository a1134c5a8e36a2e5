import { forbiddenField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, objectOf, stringOf, typed } from '#api/wire/json.ts';
import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { persistentVolumeClaimCells } from '#api/table/core.ts';
import { accessModeErrors } from '#api/validation/access-modes.ts';
import { protectedBy } from './storage-protection.ts';

/** Rules of PersistentVolumeClaims. */
export const persistentVolumeClaimRules: KindRules = {
  effect: noVolumes,
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.volumeMode', 'Filesystem'],
  ],
  admit: protectedBy('kubernetes.io/pvc-protection'),
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Pending' }),
  validate: (claim) => [
    ...accessModeErrors(claim),
    ...(at(claim, 'spec.resources.requests.storage') === undefined
      ? [requiredField('spec.resources[storage]')]
      : []),
  ],
  validateUpdate: claimUpdateErrors,
  growsByUpdate: true,
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeClaimCells(typed(object), now),
};

function claimUpdateErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  // A claim is bound by setting volumeName once; it grows by its requests.
  const fixed = (object: JsonObject): JsonObject => {
    const {
      resources: _resources,
      volumeAttributesClassName: _attributes,
      ...spec
    } = objectOf(object['spec']);
    const isBinding = stringOf(at(old, 'spec.volumeName')) === '';
    const { volumeName: _volume, ...unbound } = spec;
    return isBinding ? unbound : spec;
  };
  if (equalJson(fixed(old), fixed(claim))) return [];
  return [
    forbiddenField(
      'spec',
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ),
  ];
}
