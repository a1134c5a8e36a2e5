import { isSameKind } from '#api/kinds/rules-of.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';
import { changes, makes, writes } from '#control-plane/apiserver/chain/admission/made.ts';

export const pods: Kind = builtIn('', 'v1', 'pods');

/** Whether a pod is made, not something of one. */
export function makesPod(attributes: AdmissionAttributes): boolean {
  return makes(pods, attributes);
}

/** Whether a pod is changed by the main endpoint. */
export function updatesPod(attributes: AdmissionAttributes): boolean {
  return changes(pods, attributes);
}

/** Whether a pod is made, or changed by the main endpoint. */
export function writesPod(attributes: AdmissionAttributes): boolean {
  return writes(pods, attributes);
}

/** Whether a pod is given ephemeral containers. */
export function debugsPod(attributes: AdmissionAttributes): boolean {
  return changes(pods, attributes, 'ephemeralcontainers');
}

/** Whether the resources of a pod are changed. */
export function resizesPod(attributes: AdmissionAttributes): boolean {
  return changes(pods, attributes, 'resize');
}

/** Whether a pod is put on a node by its own subresource. */
export function bindsPod({ operation, kind, subresource }: AdmissionAttributes): boolean {
  return operation === 'create' && subresource === 'binding' && isSameKind(kind, pods);
}

/** The lists of a pod's containers, in the order in which upstream visits them (VisitContainersWithPath). */
export const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
