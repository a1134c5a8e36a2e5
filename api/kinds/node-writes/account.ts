import type { NodeLookUp, NodeWrite } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

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
  const known = audiencesOf(pod);
  const unknown = listOf(at(object, 'spec.audiences'))
    .map(stringOf)
    .find((audience) => !known.has(audience));
  return unknown === undefined
    ? undefined
    : `audience ${JSON.stringify(unknown)} not found in pod spec volume`;
}

/** For whom a pod asks tokens, in its volumes. */
function audiencesOf(pod: JsonObject): ReadonlySet<string> {
  const sources = objectsOf(at(pod, 'spec.volumes')).flatMap((volume) =>
    objectsOf(at(volume, 'projected.sources')),
  );
  return new Set(
    sources.flatMap(({ serviceAccountToken: token }) =>
      isObject(token) ? [stringOf(token['audience'])] : [],
    ),
  );
}
