import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { AdmissionOptions } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** A new pod with its service account, its priority, the tolerations that all have, and the volume of its token. */
export function admitPod(pod: JsonObject, { tokenVolumeSuffix, priority }: AdmissionOptions): JsonObject {
  const tolerant = withDefaultTolerations(withPriority(withServiceAccount(pod), priority));
  return tokenVolumeSuffix === undefined ? tolerant : withTokenVolume(tolerant, tokenVolumeSuffix);
}

/** Whether it shows what a node runs from a file: nobody gives that one anything of the cluster. */
export function isMirrorPod(pod: JsonObject): boolean {
  return at(pod, ['metadata', 'annotations', 'kubernetes.io/config.mirror']) !== undefined;
}

/** The pod with the name of its service account in both fields. */
export function withServiceAccount(pod: JsonObject): JsonObject {
  if (isMirrorPod(pod)) return pod;
  const spec = objectOf(pod['spec']);
  const account = stringOf(spec['serviceAccountName']) || 'default';
  return { ...pod, spec: { ...spec, serviceAccountName: account, serviceAccount: account } };
}

/** The pod with the priority of its class. */
export function withPriority(
  pod: JsonObject,
  priority: AdmissionOptions['priority'] = { value: 0, preemptionPolicy: 'PreemptLowerPriority' },
): JsonObject {
  const spec = objectOf(pod['spec']);
  const preemptionPolicy = spec['preemptionPolicy'] ?? priority.preemptionPolicy;
  return { ...pod, spec: { ...spec, priority: priority.value, preemptionPolicy } };
}

/** Pods stay on a node that is not ready or unreachable for five minutes, unless they say otherwise. */
export function withDefaultTolerations(pod: JsonObject): JsonObject {
  const spec = objectOf(pod['spec']);
  const given = objectsOf(spec['tolerations']);
  return { ...pod, spec: { ...spec, tolerations: [...given, ...missingTolerations(given)] } };
}

/** The pod with the volume of its token, unless it is a mirror or wants none. */
export function withTokenVolume(pod: JsonObject, suffix: string): JsonObject {
  const spec = objectOf(pod['spec']);
  if (isMirrorPod(pod) || spec['automountServiceAccountToken'] === false) return pod;
  return { ...pod, spec: specWithToken(spec, suffix) };
}

/** Where the token volume is mounted in every container. */
const serviceAccountMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

const defaultTolerationSeconds = 300;

function missingTolerations(tolerations: readonly JsonObject[]): readonly JsonObject[] {
  return ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    .filter((key) => !tolerations.some((toleration) => coversNoExecute(toleration, key)))
    .map((key) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: defaultTolerationSeconds,
    }));
}

function coversNoExecute(toleration: JsonObject, key: string): boolean {
  const { key: tolerated, effect } = toleration;
  const coversKey = tolerated === key || tolerated === undefined || tolerated === '';
  return coversKey && (effect === 'NoExecute' || effect === undefined || effect === '');
}

function specWithToken(spec: JsonObject, suffix: string): JsonObject {
  const name = `kube-api-access-${suffix}`;
  let isMounted = false;
  const mount = (container: JsonObject): JsonObject => {
    const mounts = objectsOf(container['volumeMounts']);
    if (mounts.some((volumeMount) => volumeMount['mountPath'] === serviceAccountMountPath)) return container;
    isMounted = true;
    return {
      ...container,
      volumeMounts: [...mounts, { name, readOnly: true, mountPath: serviceAccountMountPath }],
    };
  };
  const containers = objectsOf(spec['containers']).map(mount);
  const initContainers = objectsOf(spec['initContainers']).map(mount);
  if (!isMounted) return spec;
  return {
    ...spec,
    containers,
    ...(initContainers.length === 0 ? {} : { initContainers }),
    volumes: [...objectsOf(spec['volumes']), { name, projected: tokenSources }],
  };
}

/** The token outlives the hour it names: kubelets renew it at 3607 seconds (WIRE 11). */
const tokenSources: JsonObject = {
  sources: [
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    {
      downwardAPI: {
        items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
      },
    },
  ],
  defaultMode: 0o644,
};
