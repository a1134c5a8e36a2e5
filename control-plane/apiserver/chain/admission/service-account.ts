import { at, nameOrPrefix, stringOf } from '#api/wire/json.ts';
import { isMirrorPod, withServiceAccount, withTokenVolume } from '#api/kinds/core/pod-admission.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { randomSuffix } from '#control-plane/apiserver/verbs/name-suffix.ts';
import type { AdmissionContext, AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { makesPod } from './pod.ts';

const serviceAccounts = builtIn('', 'v1', 'serviceaccounts');

/** A pod runs as an account that is there, and has the volume of its token unless one of the two does not want it. */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  handles: (attributes) => (makesPod(attributes) ? 'mayWait' : 'no'),
  admit: admitPod,
};

async function admitPod(
  context: AdmissionContext,
  { attributes, object: pod = {} }: AdmissionRequest,
): Promise<JsonObject> {
  if (isMirrorPod(pod)) return pod;
  const named = withServiceAccount(pod);
  const wantsToken = await accountWantsToken(context, named, attributes.namespace);
  return wantsToken ? withTokenVolume(named, randomSuffix()) : named;
}

/** What the account says, of pods that say nothing themselves. @throws {E_API} 403 */
async function accountWantsToken(
  context: AdmissionContext,
  pod: JsonObject,
  namespace: string,
): Promise<boolean> {
  const account = stringOf(at(pod, 'spec.serviceAccountName'));
  const entry = await context.registry.read(serviceAccounts, namespace, account);
  if (entry === undefined) {
    const cause = `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`;
    throw forbidden({ group: '', resource: 'pods' }, nameOrPrefix(pod), cause);
  }
  const own = at(pod, 'spec.automountServiceAccountToken') ?? entry.object['automountServiceAccountToken'];
  return own !== false;
}
