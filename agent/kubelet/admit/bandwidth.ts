/** Annotations of a pod's bandwidth that say nothing: the pod would run without the bound that somebody meant. Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { bandwidthOf } from '#api/pod/bandwidth.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { Refusal } from './refusal.ts';

/** With the host's network the pod's traffic is the host's, and nobody bounds it: the annotations are of no pod network then. */
export function bandwidthRefusal({ metadata, spec }: Pod): Refusal | undefined {
  if (spec?.hostNetwork === true) return undefined;
  try {
    bandwidthOf(metadata?.annotations);
    return undefined;
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    return { reason: 'UnexpectedAdmissionError', message: error.message };
  }
}
