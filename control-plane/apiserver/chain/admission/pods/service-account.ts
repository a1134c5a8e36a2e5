import { at, nameOrPrefix, stringOf } from '#api/wire/json.ts';
import { isMirrorPod, withServiceAccount, withTokenVolume } from '#api/kinds/core/pod-admission.ts';
import {
  ephemeralSecretsRefused,
  mirrorRefused,
  secretsRefused,
  withPullSecrets,
} from '#api/kinds/core/pod-secrets.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { randomSuffix } from '#control-plane/apiserver/verbs/name-suffix.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { debugsPod, makesPod } from './pod.ts';

const serviceAccounts = builtIn('', 'v1', 'serviceaccounts');

/**
 * A pod runs as an account that is there, has the volume of its token unless one of the two does not want it, what the account pulls images
 * by unless it names something itself, and no Secrets that an account keeps from its pods. Ephemeral containers are judged as well.
 */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  handles: (attributes) => (makesPod(attributes) || debugsPod(attributes) ? 'mayWait' : 'no'),
  admit: admitPod,
  validate: validatePod,
};

async function admitPod(
  context: AdmissionContext,
  { attributes, object: pod = {} }: AdmissionRequest,
): Promise<JsonObject> {
  if (!makesPod(attributes)) return pod;
  if (isMirrorPod(pod)) {
    refuse(pod, mirrorRefused(pod));
    return pod;
  }
  const named = withServiceAccount(pod);
  const account = await accountOf(context, named, attributes.namespace);
  const pulling = withPullSecrets(named, account);
  const own = at(named, 'spec.automountServiceAccountToken') ?? account['automountServiceAccountToken'];
  const whole = own === false ? pulling : withTokenVolume(pulling, randomSuffix());
  refuse(whole, secretsRefused(whole, account));
  return whole;
}

async function validatePod(
  context: AdmissionContext,
  { attributes, object: pod = {} }: AdmissionRequest,
): Promise<void> {
  refuse(pod, await refusalOf(context, pod, attributes));
}

/** Said before what later plugins say, as Kubernetes judges already where it completes. @throws {E_API} 403 where there is a cause */
function refuse(pod: JsonObject, cause: string | undefined): void {
  if (cause !== undefined) throw forbidden(pods, nameOrPrefix(pod), cause);
}

async function refusalOf(
  context: AdmissionContext,
  pod: JsonObject,
  attributes: AdmissionAttributes,
): Promise<string | undefined> {
  if (isMirrorPod(pod)) return makesPod(attributes) ? mirrorRefused(pod) : undefined;
  const account = await accountOf(context, pod, attributes.namespace);
  return makesPod(attributes) ? secretsRefused(pod, account) : ephemeralSecretsRefused(pod, account);
}

const pods = { group: '', resource: 'pods' };

/** The account of a pod. @throws {E_API} 403 */
async function accountOf(context: AdmissionContext, pod: JsonObject, namespace: string): Promise<JsonObject> {
  const account = stringOf(at(pod, 'spec.serviceAccountName'));
  const entry = await context.registry.read(serviceAccounts, namespace, account);
  if (entry !== undefined) return entry.object;
  const cause = `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`;
  throw forbidden(pods, nameOrPrefix(pod), cause);
}
