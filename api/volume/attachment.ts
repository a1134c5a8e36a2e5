import { createHash } from 'node:crypto';
import type { CSIDriver, CSIPersistentVolumeSource, PersistentVolume } from '#api/generated/objects.ts';

/** Of Nodes whose volumes kube-controller-manager attaches, not their kubelet. */
export const managedAttachAnnotation = 'volumes.kubernetes.io/controller-managed-attach-detach';
/** Nodes that somebody says are off for good: their pods and volumes go elsewhere. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

/** The name of the VolumeAttachment (getAttachmentName of kubernetes pkg/volume/csi). */
export function attachmentName(
  { volumeHandle, driver }: Pick<CSIPersistentVolumeSource, 'volumeHandle' | 'driver'>,
  nodeName: string,
): string {
  return `csi-${createHash('sha256').update(`${volumeHandle}${driver}${nodeName}`).digest('hex')}`;
}

/** How a Node's status names a volume (`volumesAttached`, `volumesInUse`). */
export function attachedName({
  driver,
  volumeHandle,
}: Pick<CSIPersistentVolumeSource, 'volumeHandle' | 'driver'>): string {
  return `kubernetes.io/csi/${driver}^${volumeHandle}`;
}

/** Whether volumes of the driver are attached before they are mounted. One that says nothing of itself has them attached. */
export function isAttachRequired(driver: CSIDriver | undefined): boolean {
  return driver?.spec.attachRequired !== false;
}

/** Whether several nodes may have the volume at once (isMultiAttachAllowed of attachdetach). */
export function mayBeOnManyNodes({ spec }: PersistentVolume): boolean {
  const { accessModes = [] } = spec ?? {};
  return (
    accessModes.length === 0 ||
    accessModes.some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')
  );
}
