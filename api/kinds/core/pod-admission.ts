import { at, objectOf, objectsOf, stringOf } from '#api/json.ts';
import type { AdmissionOptions } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/object.ts';

/** A new pod with its service account, its priority, the tolerations that all have, and the volume of its token. */
export function admitPod(pod: JsonObject, options: AdmissionOptions): JsonObject {
  const spec = objectOf(pod['spec']);
  const isMirror = at(pod, ['metadata', 'annotations', mirrorPodAnnotation]) !== undefined;
  const account = stringOf(spec['serviceAccountName']) || 'default';
  const accounts = isMirror ? {} : { serviceAccountName: account, serviceAccount: account };
  const { value: priority, preemptionPolicy } = options.priority ?? {
    value: 0,
    preemptionPolicy: 'PreemptLowerPriority',
  };
  const admitted = {
    ...spec,
    ...accounts,
    tolerations: [...objectsOf(spec['tolerations']), ...missingTolerations(objectsOf(spec['tolerations']))],
    priority,
    preemptionPolicy: spec['preemptionPolicy'] ?? preemptionPolicy,
  };
  const wantsToken =
    options.tokenVolumeSuffix !== undefined && !isMirror && spec['automountServiceAccountToken'] !== false;
  return { ...pod, spec: wantsToken ? withTokenVolume(admitted, options.tokenVolumeSuffix ?? '') : admitted };
}

/** Where the token volume is mounted in every container. */
const serviceAccountMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

const mirrorPodAnnotation = 'kubernetes.io/config.mirror';

const defaultTolerationSeconds = 300;

/** Pods stay on a node that is not ready or unreachable for five minutes, unless they say otherwise. */
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

function withTokenVolume(spec: JsonObject, suffix: string): JsonObject {
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
