import { equalJson, objectOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { persistentVolumeClaimCells } from '#api/table/core.ts';
import { claimWarnings } from '#api/warnings/storage.ts';
import { protectedBy } from './storage-protection.ts';
import { validateClaim, validateClaimStatus, validateClaimUpdate } from './volumes/claim-validation.ts';

/** Rules of PersistentVolumeClaims. */
export const persistentVolumeClaimRules: KindRules = {
  effect: acted('control-plane/controllers/persistent-volume/reconcile.ts'),
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.volumeMode', 'Filesystem'],
  ],
  admit: protectedBy('kubernetes.io/pvc-protection'),
  refuseNode: ({ node, subresource, old = {}, object = {} }) => {
    if (subresource !== 'status') return 'may only update PVC status';
    return equalJson(withoutNodesPart(old), withoutNodesPart(object))
      ? undefined
      : `node ${JSON.stringify(node)} is not allowed to update fields other than status.capacity and status.conditions`;
  },
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Pending' }),
  validate: validateClaim,
  validateUpdate: validateClaimUpdate,
  validateStatus: validateClaimStatus,
  validatesAll: true,
  warnings: claimWarnings,
  growsByUpdate: true,
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeClaimCells(typed(object), now),
};

/** Without what a node may say of a claim that it has mounted. */
function withoutNodesPart(claim: JsonObject): JsonObject {
  const { resourceVersion: _version, managedFields: _fields, ...metadata } = objectOf(claim['metadata']);
  const {
    capacity: _capacity,
    conditions: _conditions,
    allocatedResources: _allocated,
    allocatedResourceStatuses: _statuses,
    ...status
  } = objectOf(claim['status']);
  return { ...claim, metadata, status };
}
