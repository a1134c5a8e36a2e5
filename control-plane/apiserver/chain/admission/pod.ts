import { kindKey } from '#api/kinds/rules-of.ts';
import type { AdmissionAttributes } from './admission.ts';

/** Whether a pod is made, not something of one. */
export function makesPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'create' && subresource === '' && kindKey(kind) === '/Pod';
}

/** Whether the resources of a pod are changed. */
export function resizesPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'update' && subresource === 'resize' && kindKey(kind) === '/Pod';
}
