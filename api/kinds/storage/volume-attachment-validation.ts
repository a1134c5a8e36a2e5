import {
  forbiddenField,
  invalidField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, numberOf, objectOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { inlineVolumeErrors } from '#api/kinds/core/volumes/volume-validation.ts';
import { when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { csiDriverNameErrors } from './csi-validation.ts';

const metadataBytesMax = 262_144;
const messageBytesMax = 1024;
const one = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';

/** Complaints about a VolumeAttachment (kubernetes pkg/apis/storage/validation). */
export function validateVolumeAttachment(attachment: JsonObject): readonly FieldError[] {
  const spec = objectOf(attachment['spec']);
  return [
    ...when(stringOf(spec['attacher']) === '', () => requiredField('spec.attacher')),
    ...sourceErrors(objectOf(spec['source']), 'spec.source'),
    ...formatErrors('spec.nodeName', stringOf(spec['nodeName']), dnsSubdomain),
  ];
}

/** What is asked of new ones beside. */
export function validateNewVolumeAttachment(attachment: JsonObject): readonly FieldError[] {
  const name = at(attachment, 'spec.source.persistentVolumeName');
  return [
    ...csiDriverNameErrors(stringOf(at(attachment, 'spec.attacher')), 'spec.attacher'),
    ...(name === undefined
      ? []
      : formatErrors('spec.source.persistentVolumeName', stringOf(name), dnsSubdomain)),
  ];
}

/** Complaints about the status of a VolumeAttachment. */
export function validateVolumeAttachmentStatus(attachment: JsonObject): readonly FieldError[] {
  const status = objectOf(attachment['status']);
  const size = Object.entries(stringMapOf(status['attachmentMetadata'])).flat().join('');
  return [
    ...when(Buffer.byteLength(size) > metadataBytesMax, () =>
      tooLongField('status.attachmentMetadata', metadataBytesMax),
    ),
    ...['attachError', 'detachError'].flatMap((name) =>
      errorErrors(objectOf(status[name]), `status.${name}`),
    ),
  ];
}

function sourceErrors(source: JsonObject, path: string): readonly FieldError[] {
  const { inlineVolumeSpec: spec, persistentVolumeName: name } = source;
  if (isObject(spec)) {
    return name === undefined
      ? inlineVolumeErrors(spec, `${path}.inlineVolumeSpec`)
      : [forbiddenField(path, one)];
  }
  if (name === undefined) return [requiredField(path, one)];
  return when(name === '', () =>
    requiredField(`${path}.persistentVolumeName`, 'must specify non empty persistentVolumeName'),
  );
}

/** The bound that is told is that of the metadata, as kube-apiserver has it. */
function errorErrors({ message, errorCode }: JsonObject, path: string): readonly FieldError[] {
  return [
    ...when(Buffer.byteLength(stringOf(message)) > messageBytesMax, () =>
      tooLongField(`${path}.message`, metadataBytesMax),
    ),
    ...when(numberOf(errorCode) < 0, () =>
      invalidField(`${path}.errorCode`, errorCode, 'must be between 0 and 2147483647, inclusive'),
    ),
  ];
}
