import { kindKey } from '#api/kinds/rules-of.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionAttributes } from './admission.ts';
import { makes } from './made.ts';

const pods = builtIn('', 'v1', 'pods');

/** Whether a pod is made, not something of one. */
export function makesPod(attributes: AdmissionAttributes): boolean {
  return makes(pods, attributes);
}

/** Whether a pod is changed by the main endpoint. */
export function updatesPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'update' && subresource === '' && kindKey(kind) === kindKey(pods);
}

/** Whether a pod is given ephemeral containers. */
export function debugsPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'update' && subresource === 'ephemeralcontainers' && kindKey(kind) === kindKey(pods);
}

/** Whether the resources of a pod are changed. */
export function resizesPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'update' && subresource === 'resize' && kindKey(kind) === kindKey(pods);
}
