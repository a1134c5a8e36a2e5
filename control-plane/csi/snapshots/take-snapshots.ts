import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { SecretReference } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { at } from '#api/wire/json.ts';
import { isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller } from '#client/controller.ts';
import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { CreateSnapshotRequest, Snapshot } from '#proto/csi/csi.ts';
import { statusNameOf } from '#proto/status.ts';
import { secretOf, type CsiContext } from '#control-plane/csi/csi-context.ts';
import { snapshotSecret } from './plan-snapshot.ts';
import {
  beingCreatedAnnotation,
  beingDeletedAnnotation,
  contentFinalizer,
  deletionSecretAnnotation,
  deletionSecretNamespaceAnnotation,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  type VolumeSnapshotClass,
  type VolumeSnapshotContent,
  type VolumeSnapshotContentStatus,
} from './snapshot-kinds.ts';

/** A snapshot that is not ready is asked for again. */
const readyMs = 5_000;

/** What is due for a content of the driver. Pure. */
export type ContentStep = 'nothing' | 'take' | 'look' | 'take to delete' | 'delete' | 'let go';

export function planContent({ metadata, spec, status }: VolumeSnapshotContent): ContentStep {
  const { deletionTimestamp, annotations = {}, finalizers = [] } = metadata ?? {};
  const isTaken = spec.source.volumeHandle !== undefined;
  const handle = status?.snapshotHandle ?? spec.source.snapshotHandle;
  if (deletionTimestamp === undefined) {
    if (status?.readyToUse === true || annotations[beingDeletedAnnotation] !== undefined) return 'nothing';
    return isTaken ? 'take' : 'look';
  }
  if (!finalizers.includes(contentFinalizer)) return 'nothing';
  const uid = spec.volumeSnapshotRef.uid ?? '';
  // A bound one goes with its snapshot alone.
  if (uid !== '' && annotations[beingDeletedAnnotation] === undefined) return 'nothing';
  if (spec.deletionPolicy === 'Retain' || (uid === '' && !isTaken)) return 'let go';
  // The driver was asked and its answer is not known: asked again by the same name it says which one it is.
  if (handle === undefined && annotations[beingCreatedAnnotation] !== undefined) return 'take to delete';
  return handle === undefined || status?.snapshotHandle === '' ? 'let go' : 'delete';
}

/** Has snapshots taken, says when they are ready, and has them deleted (external-snapshotter's csi-snapshotter). */
export function runSnapshotter(context: CsiContext): Controller {
  const { informers, clock, logger, driver } = context;
  const contents = informers.for(volumeSnapshotContents);
  return runController({
    name: 'csi-snapshotter',
    ...{ clock, logger },
    sources: [source(contents, ({ key }) => [key]), onlySynced(informers.for(volumeSnapshotClasses))],
    reconcile: async (key, signal): Promise<KeyOutcome | void> => {
      const content = contents.get(key);
      if (content === undefined || content.spec.driver !== driver.name) return;
      const step = planContent(content);
      if (step === 'take') return take(context, content, signal);
      if (step === 'look') return look(context, content, signal);
      if (step === 'take to delete') await takeToDelete(context, content, signal);
      if (step === 'delete') await remove(context, content, signal);
      if (step === 'let go') await letGo(context, content);
    },
  });
}

async function take(
  context: CsiContext,
  seen: VolumeSnapshotContent,
  signal: AbortSignal,
): Promise<KeyOutcome | void> {
  const { spec } = seen;
  let content = seen;
  try {
    const request = await createRequest(context, seen);
    // Before the driver is asked: what it may have made is not forgotten. It stays until it says what that is.
    if (seen.status?.snapshotHandle === undefined)
      content = await annotate(context, seen, { [beingCreatedAnnotation]: 'yes' });
    const { snapshot } = await context.driver.call('CreateSnapshot', request, signal);
    if (snapshot === null) throw new PodwrightError('E_INVALID', 'the driver answered with no snapshot');
    content = await putStatus(context, content, statusOf(context, snapshot, content));
    await annotate(context, content, { [beingCreatedAnnotation]: null });
    if (!snapshot.ready_to_use) return { kind: 'again', afterMs: readyMs };
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const why = `failed to take snapshot of the volume ${spec.source.volumeHandle ?? ''}: ${JSON.stringify(describeError(error))}`;
    await fail(context, content, {
      reason: 'SnapshotCreationFailed',
      message: `Failed to create snapshot: ${why}`,
    });
    throw error;
  }
}

async function createRequest(
  context: CsiContext,
  content: VolumeSnapshotContent,
): Promise<Outgoing<CreateSnapshotRequest>> {
  const { spec, metadata } = content;
  const name = spec.volumeSnapshotClassName;
  const snapshotClass = context.informers.for(volumeSnapshotClasses).get(name ?? '');
  if (name === undefined || snapshotClass === undefined)
    throw new PodwrightError(
      'E_NOT_FOUND',
      `failed to take snapshot ${metadata?.name ?? ''} without a snapshot class`,
    );
  return {
    name: `snapshot-${spec.volumeSnapshotRef.uid ?? ''}`,
    source_volume_id: spec.source.volumeHandle ?? '',
    parameters: parametersOf(snapshotClass),
    secrets: await secretOf(context, deletionSecret(content)),
  };
}

function parametersOf({ parameters = {} }: VolumeSnapshotClass): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(parameters).filter(([key]) => !key.startsWith('csi.storage.k8s.io/')),
  );
}

/** After these the driver has nothing, and does nothing any more (external-snapshotter isCSIFinalError). */
function isFinal(error: unknown): boolean {
  if (!isPodwrightError(error)) return false;
  const status = statusNameOf(error);
  const undecided = ['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED'];
  return status !== undefined && !undecided.includes(status);
}

function statusOf(
  { clock }: CsiContext,
  snapshot: Snapshot,
  { status }: VolumeSnapshotContent,
): VolumeSnapshotContentStatus {
  const { creation_time: time, size_bytes: bytes, ready_to_use: isReady, snapshot_id: handle } = snapshot;
  const said = time === null ? undefined : time.seconds * 1000 + Math.floor(time.nanos / 1_000_000);
  const seen = status?.creationTime ?? clock.now() * 1_000_000;
  return {
    snapshotHandle: handle,
    creationTime: said === undefined ? seen : said * 1_000_000,
    readyToUse: isReady,
    restoreSize: bytes,
  };
}

/** One that was there before: the driver is asked what it is, if it can say. */
async function look(
  context: CsiContext,
  content: VolumeSnapshotContent,
  signal: AbortSignal,
): Promise<KeyOutcome | void> {
  const handle = content.spec.source.snapshotHandle ?? '';
  // Nobody's yet.
  if ((content.spec.volumeSnapshotRef.uid ?? '') === '') return;
  try {
    const found = await findSnapshot(context, content, { handle, signal });
    await putStatus(context, content, statusOf(context, { ...found, snapshot_id: handle }, content));
    if (!found.ready_to_use) return { kind: 'again', afterMs: readyMs };
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const message = `Failed to check and update snapshot content: ${describeError(error)}`;
    await fail(context, content, { reason: 'SnapshotContentCheckandUpdateFailed', message });
    throw error;
  }
}

/** Of a driver that cannot say, it is taken to be ready. */
async function findSnapshot(
  context: CsiContext,
  { spec, metadata }: VolumeSnapshotContent,
  { handle, signal }: { readonly handle: string; readonly signal: AbortSignal },
): Promise<Snapshot> {
  const { driver, informers } = context;
  const unknown = { snapshot_id: handle, source_volume_id: '', size_bytes: 0, group_snapshot_id: '' };
  if (!driver.capabilities.has('LIST_SNAPSHOTS') && !driver.capabilities.has('GET_SNAPSHOT'))
    return { ...unknown, creation_time: null, ready_to_use: true };
  const snapshotClass = informers.for(volumeSnapshotClasses).get(spec.volumeSnapshotClassName ?? '');
  const reference = snapshotSecret('snapshotter-list', snapshotClass ?? {}, {
    contentName: metadata?.name ?? '',
  });
  const request = { snapshot_id: handle, secrets: await secretOf(context, reference) };
  const found = driver.capabilities.has('GET_SNAPSHOT')
    ? (await driver.call('GetSnapshot', request, signal)).snapshot
    : (await driver.call('ListSnapshots', request, signal)).entries[0]?.snapshot;
  if (found !== null && found !== undefined) return found;
  throw new PodwrightError('E_NOT_FOUND', `can not find snapshot for snapshotID ${handle}`);
}

async function takeToDelete(
  context: CsiContext,
  content: VolumeSnapshotContent,
  signal: AbortSignal,
): Promise<void> {
  try {
    const request = await createRequest(context, content);
    const { snapshot } = await context.driver.call('CreateSnapshot', request, signal);
    const handle = snapshot?.snapshot_id ?? '';
    const next = await putStatus(context, content, { snapshotHandle: handle, readyToUse: false });
    await annotate(context, next, { [beingCreatedAnnotation]: null });
  } catch (error) {
    signal.throwIfAborted();
    if (!isFinal(error)) throw error;
    await annotate(context, content, { [beingCreatedAnnotation]: null });
  }
}

async function remove(
  context: CsiContext,
  content: VolumeSnapshotContent,
  signal: AbortSignal,
): Promise<void> {
  const { driver, recorder } = context;
  try {
    const handle = content.status?.snapshotHandle ?? content.spec.source.snapshotHandle ?? '';
    const secrets = await secretOf(context, deletionSecret(content));
    await driver.call('DeleteSnapshot', { snapshot_id: handle, secrets }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const regarding = { kind: volumeSnapshotContents, object: content };
    recorder.record(
      regarding,
      'Warning',
      'SnapshotDeleteError',
      `Failed to delete snapshot: ${describeError(error)}`,
    );
    throw error;
  }
  await letGo(context, content);
}

function deletionSecret({ metadata }: VolumeSnapshotContent): SecretReference | undefined {
  const name = metadata?.annotations?.[deletionSecretAnnotation];
  const namespace = metadata?.annotations?.[deletionSecretNamespaceAnnotation];
  return name === undefined ? undefined : { name, namespace };
}

async function letGo({ client }: CsiContext, { metadata, ...content }: VolumeSnapshotContent): Promise<void> {
  const finalizers = metadata?.finalizers?.filter((one) => one !== contentFinalizer) ?? [];
  try {
    await client.update(volumeSnapshotContents, { ...content, metadata: { ...metadata, finalizers } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function annotate(
  { client, informers }: CsiContext,
  content: VolumeSnapshotContent,
  annotations: Readonly<Record<string, string | null>>,
): Promise<VolumeSnapshotContent> {
  const { name = '', uid, annotations: before = {} } = content.metadata ?? {};
  if (Object.entries(annotations).every(([key, value]) => (before[key] ?? null) === value)) return content;
  const body = { metadata: { uid, annotations } };
  const written = await client.patch(volumeSnapshotContents, { name }, { kind: 'merge', body });
  informers.for(volumeSnapshotContents).observe(written);
  return written;
}

async function putStatus(
  { client, informers }: CsiContext,
  content: VolumeSnapshotContent,
  status: VolumeSnapshotContentStatus,
): Promise<VolumeSnapshotContent> {
  const { metadata, status: before = {} } = content;
  // What is asked for again and again changes nothing.
  if (before.error === undefined && Object.entries(status).every(([key, value]) => at(before, key) === value))
    return content;
  const body = { metadata: { uid: metadata?.uid }, status: { error: null, ...status } };
  const how = { kind: 'merge', body, subresource: 'status' } as const;
  const written = await client.patch(volumeSnapshotContents, { name: metadata?.name ?? '' }, how);
  informers.for(volumeSnapshotContents).observe(written);
  return written;
}

/** Said once on the status and as an event. */
async function fail(
  { client, clock, recorder, informers }: CsiContext,
  content: VolumeSnapshotContent,
  { reason, message }: { readonly reason: string; readonly message: string },
): Promise<void> {
  if (content.status?.error?.message === message) return;
  const { name = '', uid } = content.metadata ?? {};
  const error = { time: formatTime(clock.now()), message };
  const body = { metadata: { uid }, status: { error, readyToUse: false } };
  const how = { kind: 'merge', body, subresource: 'status' } as const;
  informers.for(volumeSnapshotContents).observe(await client.patch(volumeSnapshotContents, { name }, how));
  recorder.record({ kind: volumeSnapshotContents, object: content }, 'Warning', reason, message);
}
