import type { NodeLookUp, NodeWrite } from '#api/kinds/rules.ts';
import { at, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import { audienceProblem } from './token-audience.ts';

/** A node gets tokens for pods that it runs, bound to them, for whom these name (noderestriction, admitServiceAccount). */
export async function refuseTokenLate(
  { node, subresource, object = {} }: NodeWrite,
  lookUp: NodeLookUp,
): Promise<string | undefined> {
  if (subresource !== 'token') return undefined;
  const bound = objectOf(at(object, 'spec.boundObjectRef'));
  const { apiVersion, kind, name, uid } = bound;
  if (apiVersion !== 'v1' || kind !== 'Pod' || stringOf(name) === '') {
    return 'node requested token not bound to a pod';
  }
  if (stringOf(uid) === '') return 'node requested token with a pod binding without a uid';
  const pod = await lookUp.pod(stringOf(name));
  const own = stringOf(at(pod, 'metadata.uid'));
  if (own !== uid) {
    return `the UID in the bound object reference (${stringOf(uid)}) does not match the UID in record. The object might have been deleted and then recreated`;
  }
  if (stringOf(at(pod, 'spec.nodeName')) !== node) {
    return 'node requested token bound to a pod scheduled on a different node';
  }
  const audiences = listOf(at(object, 'spec.audiences')).map(stringOf);
  return audienceProblem({ node, pod, audiences }, lookUp);
}
