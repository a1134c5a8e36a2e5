import { at, isObject, nameOrPrefix, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { makes } from '#control-plane/apiserver/chain/admission/made.ts';

export const podGroups: Kind = builtIn('scheduling.k8s.io', 'v1alpha2', 'podgroups');
const workloads = builtIn('scheduling.k8s.io', 'v1alpha2', 'workloads');

/** A new PodGroup is of a template that there is, where it says of which (kube-apiserver 1.36, in whose words). */
export const podGroupWorkloadExists: AdmissionPlugin = {
  name: 'PodGroupWorkloadExists',
  handles: (attributes) => (makes(podGroups, attributes) ? 'mayWait' : 'no'),
  validate: async ({ registry }, { attributes, object = {} }) => {
    const reference = at(object, 'spec.podGroupTemplateRef.workload');
    if (!isObject(reference)) return;
    const [workload, template] = [reference['workloadName'], reference['podGroupTemplateName']].map(stringOf);
    const refuse = (why: string): Error =>
      forbidden(podGroups, nameOrPrefix(object), `PodGroup rejected: ${why}`);
    const found = await registry.read(workloads, attributes.namespace, workload ?? '');
    if (found === undefined) throw refuse(`Workload "${workload}" not found`);
    if (at(found.object, 'metadata.deletionTimestamp') !== undefined)
      throw refuse(`Workload "${workload}" is being deleted`);
    const templates = objectsOf(at(found.object, 'spec.podGroupTemplates'));
    if (!templates.some(({ name }) => name === template))
      throw refuse(`PodGroupTemplate "${template}" not found in Workload "${workload}"`);
  },
};
