import type { Container, EphemeralContainer, Pod, Volume } from '#api/generated/objects.ts';

/** A kind of object that a pod names in its own namespace. */
export type ReferencedKind =
  | 'secrets'
  | 'configmaps'
  | 'persistentvolumeclaims'
  | 'serviceaccounts'
  | 'resourceclaims';

/** `secrets/NAME`, …: all that a node needs to read for a pod (pkg/api/v1/pod, VisitPodSecretNames and its like). No name twice. */
export function referencesOf(pod: Pod): ReadonlySet<`${ReferencedKind}/${string}`> {
  const found = new Set<`${ReferencedKind}/${string}`>();
  const add = (kind: ReferencedKind, name: string | undefined): void => {
    if (name !== undefined && name !== '') found.add(`${kind}/${name}`);
  };
  const { spec, metadata, status } = pod;
  if (spec === undefined) return found;
  add('serviceaccounts', spec.serviceAccountName);
  for (const { name } of spec.imagePullSecrets ?? []) add('secrets', name);
  const containers: readonly (Container | EphemeralContainer)[] = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) addEnvironment(container, add);
  for (const volume of spec.volumes ?? []) addVolume(volume, metadata?.name ?? '', add);
  const made = new Map(
    (status?.resourceClaimStatuses ?? []).map(({ name, resourceClaimName }) => [name, resourceClaimName]),
  );
  for (const { name, resourceClaimName } of spec.resourceClaims ?? []) {
    add('resourceclaims', resourceClaimName ?? made.get(name));
  }
  add('resourceclaims', status?.extendedResourceClaimStatus?.resourceClaimName);
  return found;
}

type Add = (kind: ReferencedKind, name: string | undefined) => void;

function addEnvironment({ env = [], envFrom = [] }: Container | EphemeralContainer, add: Add): void {
  for (const { valueFrom } of env) {
    add('secrets', valueFrom?.secretKeyRef?.name);
    add('configmaps', valueFrom?.configMapKeyRef?.name);
  }
  for (const { secretRef, configMapRef } of envFrom) {
    add('secrets', secretRef?.name);
    add('configmaps', configMapRef?.name);
  }
}

function addVolume(volume: Volume, podName: string, add: Add): void {
  add('secrets', volume.secret?.secretName);
  add('configmaps', volume.configMap?.name);
  add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
  if (volume.ephemeral !== undefined) add('persistentvolumeclaims', `${podName}-${volume.name}`);
  for (const { secret, configMap } of volume.projected?.sources ?? []) {
    add('secrets', secret?.name);
    add('configmaps', configMap?.name);
  }
  add('secrets', volume.azureFile?.secretName);
  add('secrets', volume.cephfs?.secretRef?.name);
  add('secrets', volume.cinder?.secretRef?.name);
  add('secrets', volume.flexVolume?.secretRef?.name);
  add('secrets', volume.rbd?.secretRef?.name);
  add('secrets', volume.scaleIO?.secretRef?.name);
  add('secrets', volume.iscsi?.secretRef?.name);
  add('secrets', volume.storageos?.secretRef?.name);
  add('secrets', volume.csi?.nodePublishSecretRef?.name);
}
