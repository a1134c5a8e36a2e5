import { forbidden } from '#api/errors/status.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { pods, writesPod } from './pod.ts';

const hostname = 'kubernetes.io/hostname';

/** Pods keep others off their node, and off nothing larger (plugin/pkg/admission/antiaffinity). */
export const limitPodHardAntiAffinityTopology: AdmissionPlugin = {
  name: 'LimitPodHardAntiAffinityTopology',
  handles: (attributes) => (writesPod(attributes) ? 'atOnce' : 'no'),
  validate: (_context, { object: pod = {} }) => {
    const terms = at(pod, 'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution');
    const wide = objectsOf(terms).find(({ topologyKey }) => topologyKey !== hostname);
    if (wide === undefined) return;
    const cause = `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${stringOf(wide['topologyKey'])} but only key ${hostname} is allowed`;
    throw forbidden(pods, stringOf(at(pod, 'metadata.name')), cause);
  },
};
