import type { NodeLookUp, NodeWrite } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { mirror } from './pod.ts';

/** A node makes requests, and leaves them to signers (noderestriction, admitPodCertificateRequest). */
export function refuseCertificate({
  node,
  operation,
  subresource,
  object = {},
}: NodeWrite): string | undefined {
  if (operation !== 'create') return `unexpected operation ${operation.toUpperCase()}`;
  if (subresource !== '') return `unexpected subresource ${subresource}`;
  const named = stringOf(at(object, 'spec.nodeName'));
  return named === node
    ? undefined
    : `PodCertificateRequest.Spec.NodeName=${JSON.stringify(named)}, which is not the requesting node ${JSON.stringify(node)}`;
}

/**
 * A node asks for pods that it runs, each of them as what it is, and of signers that it names (kubernetes #140006). Who is named and is not
 * there is NotFound.
 */
export async function refuseCertificateLate(
  { namespace, object = {} }: NodeWrite,
  lookUp: NodeLookUp,
): Promise<string | undefined> {
  const spec = objectOf(object['spec']);
  const text = (field: string): string => stringOf(spec[field]);
  const uidOf = (one: unknown): string => stringOf(at(one, 'metadata.uid'));
  const quoted = (value: string): string => JSON.stringify(value);
  const about = `PodCertificateRequest for pod ${quoted(`${namespace}/${text('podName')}`)}`;
  const node = await lookUp.node(text('nodeName'));
  if (uidOf(node) !== text('nodeUID'))
    return `${about} names node UID ${quoted(text('nodeUID'))}, inconsistent with the running node (${quoted(uidOf(node))})`;
  const pod = await lookUp.pod(text('podName'));
  if (uidOf(pod) !== text('podUID'))
    return `${about} contains pod UID (${quoted(text('podUID'))}) which differs from running pod ${quoted(uidOf(pod))}`;
  const fault = podFault(pod, { spec, namespace });
  if (fault !== undefined) return fault;
  const name = text('serviceAccountName');
  const running = stringOf(at(pod, 'spec.serviceAccountName'));
  if (running !== name)
    return `${about} contains serviceAccountName (${quoted(name)}) that differs from running pod (${quoted(running)})`;
  const account = await lookUp.find('serviceaccounts', name);
  if (account === undefined) return `service account ${quoted(`${namespace}/${name}`)} not found`;
  return uidOf(account) === text('serviceAccountUID')
    ? undefined
    : `${about} names service account UID ${quoted(text('serviceAccountUID'))}, which differs from the running service account (${quoted(uidOf(account))})`;
}

function podFault(
  pod: JsonObject,
  { spec, namespace }: { readonly spec: JsonObject; readonly namespace: string },
): string | undefined {
  const name = JSON.stringify(`${namespace}/${stringOf(spec['podName'])}`);
  if (stringOf(at(pod, 'spec.nodeName')) !== spec['nodeName'])
    return `pod ${name} is not running on node ${JSON.stringify(spec['nodeName'])} named in the PodCertificateRequest`;
  if (objectOf(at(pod, 'metadata.annotations'))[mirror] !== undefined) return `pod ${name} is a mirror pod`;
  const signers = objectsOf(at(pod, 'spec.volumes'))
    .flatMap((volume) => objectsOf(at(volume, 'projected.sources')))
    .map((source) => at(source, 'podCertificate.signerName'));
  return signers.includes(spec['signerName'])
    ? undefined
    : `pod ${name} has no podCertificate volume of signer ${JSON.stringify(spec['signerName'])}`;
}
