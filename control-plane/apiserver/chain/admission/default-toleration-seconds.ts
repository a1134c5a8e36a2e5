import { withDefaultTolerations } from '#api/kinds/core/pod-admission.ts';
import type { AdmissionPlugin } from './admission.ts';
import { makesPod } from './pod.ts';

/** Pods stay for a while on a node that is not ready or unreachable. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: (attributes) => (makesPod(attributes) ? 'atOnce' : 'no'),
  admit: (_context, { object = {} }) => withDefaultTolerations(object),
};
