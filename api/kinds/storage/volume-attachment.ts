import { sourceRules } from '#api/defaults/volume-source.ts';
import { at } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import {
  validateNewVolumeAttachment,
  validateVolumeAttachment,
  validateVolumeAttachmentStatus,
} from './volume-attachment-validation.ts';

/** Rules of VolumeAttachments. */
export const volumeAttachmentRules: KindRules = {
  effect: acted('control-plane/controllers/attach-detach/reconcile.ts'),
  defaults: sourceRules('spec.source.inlineVolumeSpec'),
  updatesNameRevision: true,
  reset: { status: { fields: ['metadata', 'spec'] } },
  answersDeleteWithObject: true,
  tracksGeneration: false,
  // kube-apiserver asks twice.
  updateChecks: ['metadata', 'object', 'metadata', 'object', 'changes'],
  validate: validateVolumeAttachment,
  validateCreate: validateNewVolumeAttachment,
  validateUpdate: immutable('spec', undefined, 'storage.v1.VolumeAttachmentSpec'),
  validateStatus: validateVolumeAttachmentStatus,
  validatesAll: true,
  cells: (attachment, now) => [
    nameOf(attachment),
    text(attachment, 'spec.attacher', ''),
    text(attachment, 'spec.source.persistentVolumeName', ''),
    text(attachment, 'spec.nodeName', ''),
    at(attachment, 'status.attached') === true,
    ageOfObject(attachment, now),
  ],
};
