import { featuresOfUpdate } from '#api/pod/declared-features.ts';
import { forbidden } from '#api/errors/status.ts';
import { at, listOf, stringOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { pods, resizesPod } from './pod.ts';

const nodes = builtIn('', 'v1', 'nodes');

/** A pod on a node is changed only as the node says that it can do (KEP-5328); of what may change, it is resources that some nodes cannot. */
export const nodeDeclaredFeatureValidator: AdmissionPlugin = {
  name: 'NodeDeclaredFeatureValidator',
  handles: (attributes) => (resizesPod(attributes) ? 'seldomWaits' : 'no'),
  mustWait: (request) => needsOf(request).length > 0,
  validate: async ({ registry }, request) => {
    const needs = needsOf(request);
    if (needs.length === 0) return;
    const refuse = (cause: string): Error => forbidden(pods, request.attributes.name, cause);
    const name = nodeOf(request);
    const node = await registry.read(nodes, '', name);
    if (node === undefined) throw refuse(`node ${JSON.stringify(name)} not found`);
    const has = listOf(at(node.object, 'status.declaredFeatures'));
    const missing = needs.filter((feature) => !has.includes(feature));
    if (missing.length === 0) return;
    throw refuse(
      `pod update requires features ${missing.join(', ')} which are not available on node ${JSON.stringify(name)}`,
    );
  },
};

function nodeOf({ object }: AdmissionRequest): string {
  return stringOf(at(object, 'spec.nodeName'));
}

function needsOf(request: AdmissionRequest): readonly string[] {
  const { object = {}, old = {} } = request;
  return nodeOf(request) === '' ? [] : featuresOfUpdate(old, object);
}
