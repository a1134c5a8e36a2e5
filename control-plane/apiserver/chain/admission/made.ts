import { isSameKind } from '#api/kinds/rules-of.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { AdmissionAttributes } from './admission.ts';

/** Whether an object of the kind is made, in any of its versions, not something of one. */
export function makes(made: Kind, { operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'create' && subresource === '' && isSameKind(kind, made);
}

/** Whether an object of the kind is changed, or the named part of one. */
export function changes(
  changed: Kind,
  { operation, kind, subresource }: AdmissionAttributes,
  part = '',
): boolean {
  return operation === 'update' && subresource === part && isSameKind(kind, changed);
}

/** Whether an object of the kind is made or changed, not a part of one. */
export function writes(written: Kind, attributes: AdmissionAttributes): boolean {
  return makes(written, attributes) || changes(written, attributes);
}
