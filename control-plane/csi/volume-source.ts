import { PodwrightError } from '#base/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolumeClaim } from '#api/generated/objects.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { VolumeContentSource } from '#proto/csi/csi.ts';
import type { CsiContext } from './csi-context.ts';

const snapshots = '/apis/snapshot.storage.k8s.io/v1';

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
    return { snapshot: { snapshot_id: await handleOfSnapshot(context, namespace, from.name) } };
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

async function handleOfSnapshot(
  { driver, client }: CsiContext,
  namespace: string,
  name: string,
): Promise<string> {
  const read = async (path: string): Promise<unknown> => {
    const { status, body } = await client.raw('GET', `${snapshots}${path}`);
    if (status === 200) return JSON.parse(body);
    throw new PodwrightError('E_NOT_FOUND', `error getting snapshot ${namespace}/${name}: HTTP ${status}`);
  };
  const snapshot = await read(`/namespaces/${namespace}/volumesnapshots/${name}`);
  const bound = stringOf(at(snapshot, 'status.boundVolumeSnapshotContentName'));
  if (bound === '' || at(snapshot, 'status.readyToUse') !== true)
    throw new PodwrightError('E_BUSY', `snapshot ${namespace}/${name} is not Ready`);
  const content = await read(`/volumesnapshotcontents/${bound}`);
  const handle = stringOf(at(content, 'status.snapshotHandle'));
  if (at(content, 'spec.driver') !== driver.name || handle === '')
    throw new PodwrightError('E_INVALID', `snapshot ${namespace}/${name} is not of driver ${driver.name}`);
  return handle;
}
