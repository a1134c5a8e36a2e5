import { PodwrightError } from '#base/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolumeClaim } from '#api/generated/objects.ts';
import { modeOf } from '#api/volume/match.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { VolumeContentSource } from '#proto/csi/csi.ts';
import type { CsiContext } from './csi-context.ts';
import { requestedBytes } from './plan-volume.ts';
import {
  modeChangeAnnotation,
  pointsAt,
  volumeSnapshotContents,
  volumeSnapshots,
} from './snapshots/snapshot-kinds.ts';

/** What a new volume is a copy of: another claim's volume, or a snapshot that is ready. @throws why not, to be tried again */
export async function sourceOfClaim(
  context: CsiContext,
  claim: PersistentVolumeClaim,
): Promise<Outgoing<VolumeContentSource> | undefined> {
  const { dataSource, dataSourceRef } = claim.spec ?? {};
  const from = dataSourceRef ?? dataSource;
  if (from === undefined) return undefined;
  const namespace = claim.metadata?.namespace ?? '';
  const other = dataSourceRef?.namespace;
  if (other !== undefined && other !== '' && other !== namespace)
    throw new PodwrightError('E_UNSUPPORTED', `data source ${other}/${from.name}: of another namespace`);
  if (from.kind === 'PersistentVolumeClaim' && (from.apiGroup ?? '') === '')
    return { volume: { volume_id: await handleOfClaim(context, namespace, from.name) } };
  if (from.kind === 'VolumeSnapshot' && from.apiGroup === 'snapshot.storage.k8s.io')
    return { snapshot: { snapshot_id: await handleOfSnapshot(context, claim, from.name) } };
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `data source ${from.apiGroup ?? ''} ${from.kind} ${from.name}: a populator fills it`,
  );
}

async function handleOfClaim(
  { driver, client, informers }: CsiContext,
  namespace: string,
  name: string,
): Promise<string> {
  if (!driver.capabilities.has('CLONE_VOLUME'))
    throw new PodwrightError('E_UNSUPPORTED', `CSI driver ${driver.name} does not clone volumes`);
  const source = await client.get(persistentVolumeClaims, { namespace, name });
  const volume = informers.for(persistentVolumes).get(source.spec?.volumeName ?? '');
  if (source.status?.phase !== 'Bound' || volume === undefined)
    throw new PodwrightError('E_BUSY', `the PVC data source ${namespace}/${name} is not bound`);
  if (volume.spec?.csi?.driver !== driver.name)
    throw new PodwrightError(
      'E_INVALID',
      `the source volume of ${namespace}/${name} is not of driver ${driver.name}`,
    );
  return volume.spec.csi.volumeHandle;
}

/** In the words of external-provisioner. */
async function handleOfSnapshot(
  { driver, client }: CsiContext,
  claim: PersistentVolumeClaim,
  name: string,
): Promise<string> {
  const namespace = claim.metadata?.namespace ?? '';
  const snapshot = await client.get(volumeSnapshots, { namespace, name });
  const { boundVolumeSnapshotContentName: bound, readyToUse } = snapshot.status ?? {};
  if (bound === undefined || readyToUse !== true || snapshot.metadata?.deletionTimestamp !== undefined)
    throw new PodwrightError('E_BUSY', `snapshot ${namespace}/${name} is not Ready`);
  const content = await client.get(volumeSnapshotContents, { name: bound });
  // Whoever may write snapshots must not have those of others by naming them.
  if (!pointsAt(content, snapshot))
    throw new PodwrightError('E_INVALID', `snapshot ${namespace}/${name} not bound`);
  const handle = content.status?.snapshotHandle ?? '';
  if (content.spec.driver !== driver.name || handle === '')
    throw new PodwrightError('E_INVALID', `snapshot ${namespace}/${name} is not of driver ${driver.name}`);
  const size = content.status?.restoreSize ?? 0;
  const asked = requestedBytes(claim);
  if (asked < size)
    throw new PodwrightError(
      'E_INVALID',
      `requested volume size ${asked} is less than the size ${size} for the source snapshot ${name}`,
    );
  const { sourceVolumeMode: mode } = content.spec;
  const mayChange = content.metadata?.annotations?.[modeChangeAnnotation] === 'true';
  if (mode !== undefined && mode !== modeOf(claim) && !mayChange)
    throw new PodwrightError(
      'E_PERMISSION',
      `requested volume ${namespace}/${claim.metadata?.name ?? ''} modifies the mode of the source volume but does not have permission to do so. ${modeChangeAnnotation} annotation is not present on snapshotcontent ${bound}`,
    );
  return handle;
}
