import { kindKey } from '#api/kinds/rules-of.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { AdmissionAttributes } from './admission.ts';

/** Whether an object of the kind is made, in any of its versions, not something of one. */
export function makes(made: Kind, { operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'create' && subresource === '' && kindKey(kind) === kindKey(made);
}
