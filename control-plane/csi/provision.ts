import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import {
  csiNodes,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
} from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import {
  claimClass,
  provisionedByAnnotation,
  selectedNodeAnnotation,
  storageProvisionerAnnotations,
  waitsForConsumer,
} from '#api/volume/claim.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller } from '#client/controller.ts';
import { statusNameOf } from '#proto/status.ts';
import { secretOf, type CsiContext } from './csi-context.ts';
import { unfitAttributes } from './plan-modify.ts';
import {
  annotatedSecret,
  provisionerFinalizer,
  renderCreate,
  renderTopology,
  renderVolume,
  secretReference,
  volumeNameOf,
  type VolumeWish,
} from './plan-volume.ts';
import { sourceOfClaim } from './volume-source.ts';

/** Makes volumes for claims, and takes them back (external-provisioner). */
export function runProvisioner(context: CsiContext): Controller {
  const { informers, clock, logger } = context;
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes);
  const attachments = informers.for(volumeAttachments, {
    indexes: { volume: ({ spec }) => [spec.source.persistentVolumeName ?? ''] },
  });
  return runController({
    name: 'csi-provisioner',
    ...{ clock, logger },
    sources: [
      source(claims, ({ key }) => [`claim/${key}`]),
      source(volumes, ({ key }) => [`volume/${key}`]),
      source(attachments, ({ old, current }) =>
        [old, current].flatMap((one) => {
          const name = one?.spec.source.persistentVolumeName;
          return name === undefined ? [] : [`volume/${name}`];
        }),
      ),
      ...[informers.for(storageClasses), informers.for(nodes), informers.for(csiNodes)].map((one) =>
        onlySynced(one),
      ),
    ],
    reconcile: async (key, signal) => {
      const name = key.slice(key.indexOf('/') + 1);
      if (key.startsWith('claim/')) {
        const claim = claims.get(name);
        if (claim !== undefined) await syncClaim(context, claim, signal);
        return;
      }
      const volume = volumes.get(name);
      if (volume !== undefined)
        await syncVolume(context, volume, attachments.byIndex('volume', name).length > 0);
    },
  });
}

async function syncClaim(
  context: CsiContext,
  claim: PersistentVolumeClaim,
  signal: AbortSignal,
): Promise<void> {
  const { driver, informers, recorder, client } = context;
  const storageClass = informers.for(storageClasses).get(claimClass(claim) ?? '');
  if (storageClass === undefined || !isDue(claim, storageClass, driver.name)) return;
  const regarding = { kind: persistentVolumeClaims, object: claim };
  const key = objectKey(claim);
  recorder.record(
    regarding,
    'Normal',
    'Provisioning',
    `External provisioner is provisioning volume for claim "${key}"`,
  );
  const failed = `failed to provision volume with StorageClass "${storageClass.metadata?.name ?? ''}"`;
  try {
    const made = await makeVolume(context, { claim, storageClass }, signal);
    informers.for(persistentVolumes).observe(await client.create(persistentVolumes, made));
    const name = volumeNameOf(claim);
    recorder.record(regarding, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
  } catch (error) {
    if (isAlreadyExists(error)) return;
    signal.throwIfAborted();
    recorder.record(regarding, 'Warning', 'ProvisioningFailed', `${failed}: ${describeError(error)}`);
    if (isPodwrightError(error) && statusNameOf(error) === 'RESOURCE_EXHAUSTED')
      await giveNodeBack(context, claim);
    throw error;
  }
}

function isDue(claim: PersistentVolumeClaim, storageClass: StorageClass, driver: string): boolean {
  const { metadata, spec } = claim;
  const isAsked = storageProvisionerAnnotations.some((name) => metadata?.annotations?.[name] === driver);
  const isFree = (spec?.volumeName ?? '') === '' && metadata?.deletionTimestamp === undefined;
  if (!isAsked || !isFree || storageClass.provisioner !== driver) return false;
  return !waitsForConsumer(storageClass) || metadata?.annotations?.[selectedNodeAnnotation] !== undefined;
}

async function makeVolume(
  context: CsiContext,
  { claim, storageClass }: Pick<VolumeWish, 'claim' | 'storageClass'>,
  signal: AbortSignal,
): Promise<PersistentVolume> {
  const { driver, informers } = context;
  const selected = claim.metadata?.annotations?.[selectedNodeAnnotation];
  const listed = informers.for(csiNodes).list();
  const topology = driver.hasTopology
    ? renderTopology({
        ...{ driver: driver.name, storageClass, selected, nodes: informers.for(nodes).list() },
        csiNodes: new Map(listed.map((node) => [node.metadata?.name ?? '', node])),
      })
    : undefined;
  const isExact = driver.capabilities.has('SINGLE_NODE_MULTI_WRITER');
  const from = await sourceOfClaim(context, claim);
  const attributes = await attributesOf(context, claim);
  const wish: VolumeWish = {
    ...{ claim, storageClass, driver: driver.name, isExact, topology },
    ...{ source: from, attributes },
  };
  const secrets = await secretOf(context, secretReference('provisioner', wish));
  const { volume } = await driver.call('CreateVolume', renderCreate(wish, secrets), signal);
  if (volume === null || volume.volume_id === '')
    throw new PodwrightError('E_INVALID', 'the driver answered with no volume');
  if (from !== undefined && volume.content_source === null) {
    // Empty in place of a copy: it must not be taken for one (external-provisioner deletes it, too).
    await driver.call('DeleteVolume', { volume_id: volume.volume_id, secrets }, signal);
    throw new PodwrightError('E_INVALID', 'volume content source missing');
  }
  return renderVolume(wish, volume);
}

/** What its class of attributes says. @throws what the claim is told where the driver cannot do that */
async function attributesOf(
  { client, driver }: CsiContext,
  { spec }: PersistentVolumeClaim,
): Promise<Readonly<Record<string, string>> | undefined> {
  const name = spec?.volumeAttributesClassName ?? '';
  if (name === '') return undefined;
  const found = await client.get(volumeAttributesClasses, { name });
  const why = unfitAttributes(driver, found);
  if (why !== undefined) throw new PodwrightError('E_UNSUPPORTED', why);
  return found.parameters ?? {};
}

/** Another node may have room. */
async function giveNodeBack({ client }: CsiContext, claim: PersistentVolumeClaim): Promise<void> {
  const { namespace, name = '', uid, annotations } = claim.metadata ?? {};
  if (annotations?.[selectedNodeAnnotation] === undefined) return;
  const body = { metadata: { uid, annotations: { [selectedNodeAnnotation]: null } } };
  await client.patch(persistentVolumeClaims, { namespace, name }, { kind: 'merge', body });
}

/** Deleted in the driver, then here; a volume that is kept only loses what held it. */
async function syncVolume(context: CsiContext, volume: PersistentVolume, isAttached: boolean): Promise<void> {
  const { driver, recorder, client } = context;
  const { metadata, spec, status } = volume;
  if (metadata?.annotations?.[provisionedByAnnotation] !== driver.name) return;
  const isGoing = metadata.deletionTimestamp !== undefined;
  const isFree = status?.phase === 'Released' || status?.phase === 'Failed';
  const isDeleted = spec?.persistentVolumeReclaimPolicy === 'Delete' && isFree;
  if (!isDeleted && !(isGoing && status?.phase !== 'Bound')) return;
  if (isDeleted) {
    const regarding = { kind: persistentVolumes, object: volume };
    if (isAttached) {
      const message = `persistentvolume ${metadata.name ?? ''} is still attached to node`;
      recorder.record(regarding, 'Warning', 'VolumeFailedDelete', message);
      return; // The attachment's end is a change.
    }
    try {
      await driver.call('DeleteVolume', {
        volume_id: spec?.csi?.volumeHandle ?? '',
        secrets: await secretOf(context, annotatedSecret(volume, 'provisioner-deletion')),
      });
    } catch (error) {
      recorder.record(regarding, 'Warning', 'VolumeFailedDelete', describeError(error));
      throw error;
    }
    if (!isGoing)
      await ignoreGone(
        client.delete(
          persistentVolumes,
          { name: metadata.name ?? '' },
          { preconditions: { uid: metadata.uid } },
        ),
      );
  }
  const body = {
    metadata: {
      uid: metadata.uid,
      finalizers: metadata.finalizers?.filter((one) => one !== provisionerFinalizer) ?? [],
    },
  };
  if (metadata.finalizers?.includes(provisionerFinalizer) !== true) return;
  const precise = {
    metadata: { ...body.metadata, resourceVersion: isGoing ? metadata.resourceVersion : undefined },
  };
  await ignoreGone(
    client.patch(persistentVolumes, { name: metadata.name ?? '' }, { kind: 'merge', body: precise }),
  );
}

async function ignoreGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
