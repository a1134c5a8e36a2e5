import { at, objectOf, objectsOf, stringOf, withPath } from './json.ts';
import type { Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';

/** What admission needs to know beyond the object. */
export interface AdmissionOptions {
  /** Five characters for the name of the token volume (`kube-api-access-x7k2p`); without it pods get none. */
  readonly tokenVolumeSuffix?: string | undefined;
  /** From the pod's PriorityClass; 0 and PreemptLowerPriority without. */
  readonly priority?: { readonly value: number; readonly preemptionPolicy: string } | undefined;
  /** Adds the finalizers that the pv- and pvc-protection controllers remove. Set it only where these run. */
  readonly storageProtection?: boolean | undefined;
}

/**
 * What the default admission plugins add to a new object and needs no look at others: service account, priority, tolerations and
 * token volume of pods, the taint of new nodes, finalizers of volumes. Order: applyDefaults, admitCreate, prepareCreate.
 */
export function admitCreate(
  kind: Pick<Kind, 'group' | 'kind'>,
  object: JsonObject,
  options: AdmissionOptions = {},
): JsonObject {
  switch (`${kind.group}/${kind.kind}`) {
    case '/Pod':
      return admitPod(object, options);
    case '/Node':
      return taintNode(object);
    case '/PersistentVolume':
      return options.storageProtection === true
        ? withFinalizer(object, 'kubernetes.io/pv-protection')
        : object;
    case '/PersistentVolumeClaim':
      return options.storageProtection === true
        ? withFinalizer(object, 'kubernetes.io/pvc-protection')
        : object;
    default:
      return object;
  }
}

/** Where the token volume is mounted in every container. */
export const serviceAccountMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

const mirrorPodAnnotation = 'kubernetes.io/config.mirror';

function admitPod(pod: JsonObject, options: AdmissionOptions): JsonObject {
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

/** New nodes are not ready before somebody says so. */
function taintNode(node: JsonObject): JsonObject {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const taints = objectsOf(at(node, 'spec.taints'));
  const has = taints.some(({ key, effect }) => key === taint.key && effect === taint.effect);
  return has ? node : withPath(node, 'spec.taints', [...taints, taint]);
}

function withFinalizer(object: JsonObject, finalizer: string): JsonObject {
  const finalizers = at(object, 'metadata.finalizers');
  const present = Array.isArray(finalizers) ? finalizers : [];
  return present.includes(finalizer)
    ? object
    : withPath(object, 'metadata.finalizers', [...present, finalizer]);
}
