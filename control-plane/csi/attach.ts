import { describeError, PodwrightError } from '#base/errors.ts';
import { csiNodes, persistentVolumes, volumeAttachments } from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeSpec, VolumeAttachment } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import { attacherFinalizer, secretOf, type CsiContext } from './csi-context.ts';
import { createRetryGate, type RetryGate } from './retry-gate.ts';

const nodeIdAnnotation = 'csi.alpha.kubernetes.io/node-id';

/** Attaches what VolumeAttachments ask for, and detaches what goes (external-attacher). */
export function runAttacher(context: CsiContext): Controller {
  const { informers, clock, logger, driver } = context;
  const attachments = informers.for(volumeAttachments, {
    indexes: {
      volume: ({ spec }) => [spec.source.persistentVolumeName ?? ''],
      node: ({ spec }) => [spec.nodeName],
    },
  });
  const volumes = informers.for(persistentVolumes);
  const gate = createRetryGate(clock);
  return runController({
    name: 'csi-attacher',
    ...{ clock, logger },
    sources: [
      source(attachments, ({ key, old, current }) => [
        key,
        ...[old, current].flatMap((one) => {
          const name = one?.spec.source.persistentVolumeName;
          return name === undefined ? [] : [`volume/${name}`];
        }),
      ]),
      source(volumes, ({ key, current }) => [
        ...(current?.metadata?.deletionTimestamp === undefined ? [] : [`volume/${key}`]),
        ...attachments.byIndex('volume', key).map(({ metadata }) => metadata?.name ?? ''),
      ]),
      source(informers.for(csiNodes), ({ key }) =>
        attachments.byIndex('node', key).map(({ metadata }) => metadata?.name ?? ''),
      ),
    ],
    reconcile: async (key, signal) => {
      if (key.startsWith('volume/')) {
        const volume = volumes.get(key.slice('volume/'.length));
        if (volume !== undefined && attachments.byIndex('volume', key.slice('volume/'.length)).length === 0)
          await letGo(context, volume);
        return done;
      }
      const attachment = attachments.get(key);
      if (attachment?.spec.attacher !== driver.name) return done;
      const work: Work = { seen: attachment, gate, signal };
      if (attachment.metadata?.deletionTimestamp !== undefined) return detach(context, work);
      return attachment.status?.attached === true ? done : attach(context, work);
    },
  });
}

interface Work {
  readonly seen: VolumeAttachment;
  readonly gate: RetryGate;
  readonly signal: AbortSignal;
}

/** Has the driver do it, or waits as long as it is to be left alone after it failed to; the answer is for whoever goes on. */
async function ask<T>(
  { seen, gate }: Work,
  what: string,
  call: () => Promise<T>,
): Promise<{ readonly afterMs: number } | { readonly answer: T }> {
  const uid = seen.metadata?.uid ?? '';
  const afterMs = gate.waitMs(uid, what);
  if (afterMs > 0) return { afterMs };
  try {
    const answer = await call();
    gate.clear(uid);
    return { answer };
  } catch (error) {
    gate.fail(uid, what, { isFinal: false });
    throw error;
  }
}

async function attach(context: CsiContext, work: Work): Promise<KeyOutcome> {
  const { driver, client, informers } = context;
  const { seen, signal } = work;
  const finalizer = attacherFinalizer(driver.name);
  if (!driver.capabilities.has('PUBLISH_UNPUBLISH_VOLUME')) {
    await putStatus(context, seen, { attached: true });
    return done;
  }
  try {
    const node = nodeIdOf(context, seen.spec.nodeName);
    const spec = await volumeOf(context, seen, finalizer);
    // What holds it is there before the driver is asked: it stays until the driver undid it.
    const { metadata } = seen;
    const finalizers = [...new Set([...(metadata?.finalizers ?? []), finalizer])];
    const annotations = { ...metadata?.annotations, [nodeIdAnnotation]: node };
    const isHeld =
      metadata?.finalizers?.includes(finalizer) === true && metadata.annotations?.[nodeIdAnnotation] === node;
    const held = isHeld
      ? seen
      : await client.update(volumeAttachments, {
          ...seen,
          metadata: { ...metadata, finalizers, annotations },
        });
    if (held !== seen) informers.for(volumeAttachments).observe(held);
    const { csi } = spec;
    const secrets = await secretOf(context, csi.controllerPublishSecretRef);
    const request = {
      ...{ volume_id: csi.volumeHandle, node_id: node, volume_context: csi.volumeAttributes ?? {} },
      volume_capability: renderCapability({
        ...{ isBlock: spec.volumeMode === 'Block', fsType: csi.fsType, mountOptions: spec.mountOptions },
        mode: modeOfAll(spec.accessModes ?? [], driver.capabilities.has('SINGLE_NODE_MULTI_WRITER')),
      }),
      readonly: driver.capabilities.has('PUBLISH_READONLY') && csi.readOnly === true,
      secrets,
    };
    const asked = await ask(work, `attach ${JSON.stringify({ ...request, secrets: undefined })}`, () =>
      driver.call('ControllerPublishVolume', request, signal),
    );
    if ('afterMs' in asked) return { kind: 'again', afterMs: asked.afterMs };
    const { publish_context } = asked.answer;
    const metadataOf =
      Object.keys(publish_context).length === 0 ? {} : { attachmentMetadata: publish_context };
    await putStatus(context, held, { attached: true, ...metadataOf });
    return done;
  } catch (error) {
    signal.throwIfAborted();
    await putError(context, seen, { attachError: describeError(error) });
    throw error;
  }
}

async function detach(context: CsiContext, work: Work): Promise<KeyOutcome> {
  const { driver, client } = context;
  const { seen, signal } = work;
  const finalizer = attacherFinalizer(driver.name);
  const { metadata } = seen;
  if (metadata?.finalizers?.includes(finalizer) !== true) return done;
  try {
    const name = seen.spec.source.persistentVolumeName ?? '';
    const volume = await findVolume(context, name);
    const csi = (volume?.spec ?? seen.spec.source.inlineVolumeSpec)?.csi;
    if (csi === undefined)
      throw new PodwrightError('E_NOT_FOUND', `persistentvolume ${JSON.stringify(name)} not found`);
    const node = metadata.annotations?.[nodeIdAnnotation] ?? nodeIdOf(context, seen.spec.nodeName);
    const secrets = await secretOf(context, csi.controllerPublishSecretRef);
    const request = { volume_id: csi.volumeHandle, node_id: node, secrets };
    const asked = await ask(work, `detach ${csi.volumeHandle} of ${node}`, () =>
      driver.call('ControllerUnpublishVolume', request, signal),
    );
    if ('afterMs' in asked) return { kind: 'again', afterMs: asked.afterMs };
  } catch (error) {
    signal.throwIfAborted();
    await putError(context, seen, { detachError: describeError(error) });
    throw error;
  }
  const finalizers = metadata.finalizers.filter((one) => one !== finalizer);
  try {
    await client.update(volumeAttachments, { ...seen, metadata: { ...metadata, finalizers } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return done;
}

/** A volume that goes and is attached nowhere. */
async function letGo(
  { driver, client }: CsiContext,
  { metadata, ...volume }: PersistentVolume,
): Promise<void> {
  const finalizer = attacherFinalizer(driver.name);
  if (metadata?.deletionTimestamp === undefined || metadata.finalizers?.includes(finalizer) !== true) return;
  const finalizers = metadata.finalizers.filter((one) => one !== finalizer);
  try {
    await client.update(persistentVolumes, { ...volume, metadata: { ...metadata, finalizers } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

type CsiSpec = PersistentVolumeSpec & { readonly csi: NonNullable<PersistentVolumeSpec['csi']> };

/** The volume, which does not go from now on before it is detached. */
async function volumeOf(
  context: CsiContext,
  { spec }: VolumeAttachment,
  finalizer: string,
): Promise<CsiSpec> {
  const name = spec.source.persistentVolumeName;
  const { client, informers } = context;
  const inline = spec.source.inlineVolumeSpec;
  const volume = name === undefined ? { spec: inline } : await findVolume(context, name);
  const found = volume?.spec;
  if (found?.csi === undefined)
    throw new PodwrightError('E_NOT_FOUND', `persistentvolume ${JSON.stringify(name ?? '')} not found`);
  if (name !== undefined && volume?.metadata?.finalizers?.includes(finalizer) !== true) {
    if (volume?.metadata?.deletionTimestamp !== undefined)
      throw new PodwrightError(
        'E_CONFLICT',
        `PersistentVolume ${JSON.stringify(name)} is marked for deletion`,
      );
    const finalizers = [...(volume?.metadata?.finalizers ?? []), finalizer];
    const next = { ...volume, metadata: { ...volume?.metadata, finalizers } };
    informers.for(persistentVolumes).observe(await client.update(persistentVolumes, next));
  }
  return { ...found, csi: found.csi };
}

async function findVolume({ client }: CsiContext, name: string): Promise<PersistentVolume | undefined> {
  try {
    return await client.get(persistentVolumes, { name });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function nodeIdOf({ informers, driver }: CsiContext, nodeName: string): string {
  const id = informers
    .for(csiNodes)
    .get(nodeName)
    ?.spec.drivers?.find(({ name }) => name === driver.name)?.nodeID;
  if (id !== undefined) return id;
  throw new PodwrightError('E_NOT_FOUND', `CSINode ${nodeName} does not contain driver ${driver.name}`);
}

/** One mode for all that a volume allows (GetAccessModes of csi-lib-utils). */
function modeOfAll(modes: readonly string[], isExact: boolean): ReturnType<typeof accessMode> {
  const widest = ['ReadWriteMany', 'ReadOnlyMany', 'ReadWriteOnce', 'ReadWriteOncePod'].find((mode) =>
    modes.includes(mode),
  );
  if (widest === 'ReadOnlyMany' && modes.includes('ReadWriteOnce')) return 'MULTI_NODE_SINGLE_WRITER';
  return accessMode(widest ?? 'ReadWriteOnce', isExact);
}

async function putStatus(
  { client, informers }: CsiContext,
  { metadata }: VolumeAttachment,
  status: NonNullable<VolumeAttachment['status']>,
): Promise<void> {
  const body = { metadata: { uid: metadata?.uid }, status: { attachError: null, ...status } };
  const written = await client.patch(
    volumeAttachments,
    { name: metadata?.name ?? '' },
    { kind: 'merge', body, subresource: 'status' },
  );
  informers.for(volumeAttachments).observe(written);
}

async function putError(
  { client, clock }: CsiContext,
  { metadata, status }: VolumeAttachment,
  what: { readonly attachError: string } | { readonly detachError: string },
): Promise<void> {
  const time = formatTime(clock.now());
  // Said again at each try, with another time, it would be a change, which is a reason to try again.
  const isSaid = Object.entries(what).every(
    ([key, message]) => status?.[key as 'attachError' | 'detachError']?.message === message,
  );
  if (isSaid) return;
  const errors = Object.fromEntries(Object.entries(what).map(([key, message]) => [key, { time, message }]));
  const body = {
    metadata: { uid: metadata?.uid },
    status: { attached: status?.attached === true, ...errors },
  };
  try {
    await client.patch(
      volumeAttachments,
      { name: metadata?.name ?? '' },
      { kind: 'merge', body, subresource: 'status' },
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
