import { labelsOf } from '#control-plane/apiserver/objects/selectable.ts';
import { at, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { bindsPod, makesPod } from './pod.ts';

const nodes = builtIn('', 'v1', 'nodes');
const copied = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/**
 * A pod has the zone and the region of its node as labels, for its containers to read (KEP-4742): of a binding they come to the pod as it is
 * bound. A node that is not there has none.
 */
export const podTopologyLabels: AdmissionPlugin = {
  name: 'PodTopologyLabels',
  handles: (attributes) => (makesPod(attributes) || bindsPod(attributes) ? 'mayWait' : 'no'),
  admit: (context, { attributes, object = {} }) => {
    const node = bindsPod(attributes) ? targetOf(object) : stringOf(at(object, 'spec.nodeName'));
    return node === '' ? undefined : withLabelsOf(context, object, node);
  },
};

/** The node that a binding names; '' where it names something else. */
function targetOf(binding: JsonObject): string {
  return at(binding, 'target.kind') === 'Node' ? stringOf(at(binding, 'target.name')) : '';
}

async function withLabelsOf(
  context: AdmissionContext,
  object: JsonObject,
  name: string,
): Promise<JsonObject | undefined> {
  const node = await context.registry.read(nodes, '', name);
  if (node === undefined) return undefined;
  // Found in the bytes: a node is not parsed for each pod that is bound to it.
  const found = Object.entries(labelsOf(node.value.value)).filter(([key]) => copied.includes(key));
  if (found.length === 0) return undefined;
  const labels = { ...stringMapOf(at(object, 'metadata.labels')), ...Object.fromEntries(found) };
  return withPath(object, 'metadata.labels', labels);
}
