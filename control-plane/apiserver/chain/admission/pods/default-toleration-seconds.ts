import { withDefaultTolerations } from '#api/kinds/core/pod-admission.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makesPod, updatesPod } from './pod.ts';

/** Pods stay for a while on a node that is not ready or unreachable; a client that never saw that puts them as they were. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: (attributes) => (makesPod(attributes) || updatesPod(attributes) ? 'atOnce' : 'no'),
  admit: (_context, { object = {} }) => withDefaultTolerations(object),
};
