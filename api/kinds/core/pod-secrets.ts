import type { Pod } from '#api/generated/objects.ts';
import { referencesOf } from '#api/pod/references.ts';
import { at, objectOf, objectsOf, stringOf, typed } from '#api/wire/json.ts';
import { parseBool } from '#api/wire/parse-bool.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** On a ServiceAccount, with a true value: its pods may use no Secrets but those that it lists. */
export const enforceMountableSecrets = 'kubernetes.io/enforce-mountable-secrets';

/** The pod with what its account pulls images by, if it names nothing itself. */
export function withPullSecrets(pod: JsonObject, account: JsonObject): JsonObject {
  const given = objectsOf(account['imagePullSecrets']);
  if (given.length === 0 || objectsOf(at(pod, 'spec.imagePullSecrets')).length > 0) return pod;
  return { ...pod, spec: { ...objectOf(pod['spec']), imagePullSecrets: given } };
}

/** Why the account does not let the pod be made (plugin/pkg/admission/serviceaccount); undefined: it does. */
export function secretsRefused(pod: JsonObject, account: JsonObject): string | undefined {
  if (!isEnforced(account)) return undefined;
  const name = stringOf(at(account, 'metadata.name'));
  const mountable = namesIn(account, 'secrets');
  const volume = objectsOf(at(pod, 'spec.volumes'))
    .map(({ secret }) => (secret === undefined ? undefined : stringOf(at(secret, 'secretName'))))
    .find((secret) => secret !== undefined && !mountable.has(secret));
  if (volume !== undefined)
    return `volume with secret.secretName="${volume}" is not allowed because service account ${name} does not reference that secret`;
  const container =
    refusedVariable(pod, { list: 'initContainers', what: 'init container' }, account) ??
    refusedVariable(pod, { list: 'containers', what: 'container' }, account);
  if (container !== undefined) return container;
  const pulling = namesIn(account, 'imagePullSecrets');
  const pulls = objectsOf(at(pod, 'spec.imagePullSecrets')).map((secret) => stringOf(secret['name']));
  const index = pulls.findIndex((secret) => !pulling.has(secret));
  return index < 0
    ? undefined
    : `imagePullSecrets[${index}].name="${pulls[index]}" is not allowed because service account ${name} does not reference that imagePullSecret`;
}

/** The same of the ephemeral containers that an update brings. */
export function ephemeralSecretsRefused(pod: JsonObject, account: JsonObject): string | undefined {
  const list = { list: 'ephemeralContainers', what: 'ephemeral container' };
  return isEnforced(account) ? refusedVariable(pod, list, account) : undefined;
}

/** Why what shows a pod of a node's own file may not be made: it has nothing of the cluster. */
export function mirrorRefused(pod: JsonObject): string | undefined {
  if (stringOf(at(pod, 'spec.serviceAccountName')) !== '')
    return 'a mirror pod may not reference service accounts';
  if (usesSecrets(pod)) return 'a mirror pod may not reference secrets';
  const isToken = objectsOf(at(pod, 'spec.volumes')).some((volume) =>
    objectsOf(at(volume, 'projected.sources')).some((source) => source['serviceAccountToken'] !== undefined),
  );
  return isToken ? 'a mirror pod may not use ServiceAccountToken volume projections' : undefined;
}

function isEnforced(account: JsonObject): boolean {
  return parseBool(stringOf(at(account, ['metadata', 'annotations', enforceMountableSecrets]))) === true;
}

function namesIn(account: JsonObject, list: string): ReadonlySet<string> {
  return new Set(objectsOf(account[list]).map(({ name }) => stringOf(name)));
}

function refusedVariable(
  pod: JsonObject,
  { list, what }: { readonly list: string; readonly what: string },
  account: JsonObject,
): string | undefined {
  const mountable = namesIn(account, 'secrets');
  for (const container of objectsOf(at(pod, ['spec', list]))) {
    for (const variable of objectsOf(container['env'])) {
      const reference = at(variable, 'valueFrom.secretKeyRef');
      const secret = stringOf(at(reference, 'name'));
      if (reference === undefined || mountable.has(secret)) continue;
      const owner = stringOf(at(account, 'metadata.name'));
      return `${what} ${stringOf(container['name'])} with envVar ${stringOf(variable['name'])} referencing secret.secretName="${secret}" is not allowed because service account ${owner} does not reference that secret`;
    }
  }
  return undefined;
}

/** Whether a pod names a Secret anywhere. */
function usesSecrets(pod: JsonObject): boolean {
  return [...referencesOf(typed<Pod>(pod))].some((reference) => reference.startsWith('secrets/'));
}
