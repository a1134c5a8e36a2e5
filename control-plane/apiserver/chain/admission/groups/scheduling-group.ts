import { at, withPath } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makesPod } from '#control-plane/apiserver/chain/admission/pods/pod.ts';
import { podGroups } from './pod-group-workload-exists.ts';

const field = 'spec.schedulingGroup';

/**
 * Where no PodGroups are served, a new pod is of none, as kube-apiserver leaves out fields of a feature that is off; here who makes it is
 * told. Not of upstream's plugins: it cannot be switched off.
 */
export const schedulingGroup: AdmissionPlugin = {
  name: 'PodSchedulingGroup',
  handles: (attributes, { kinds }) =>
    makesPod(attributes) && kinds.find(podGroups.group, podGroups.version, podGroups.resource) === undefined
      ? 'atOnce'
      : 'no',
  admit: (_context, { attributes, object = {} }) => {
    if (at(object, field) === undefined) return undefined;
    attributes.scope?.warn(
      `${field}: left out, as this server has no PodGroups: start it with --runtime-config=${podGroups.group}/${podGroups.version}=true`,
    );
    return withPath(object, field, undefined);
  },
};
