import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolumeClaim } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { claimKeysOfVolume } from '#control-plane/csi/bound-claim.ts';
import type { CsiContext } from '#control-plane/csi/csi-context.ts';
import { planSnapshot, type SnapshotEvent, type SnapshotScene, type SnapshotStep } from './plan-snapshot.ts';
import {
  contentNameOf,
  defaultClassAnnotation,
  snapshotGroup,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
  type VolumeSnapshot,
} from './snapshot-kinds.ts';

/** Binds snapshots of the driver to contents, and takes them back (external-snapshotter's snapshot-controller). */
export function runSnapshotBinder(context: CsiContext): Controller {
  const { informers, clock, logger } = context;
  const snapshots = informers.for(volumeSnapshots, {
    indexes: { claim: (one) => claimKeyOf(one), content: (one) => [contentOf(one)] },
  });
  const contents = informers.for(volumeSnapshotContents);
  const classes = informers.for(volumeSnapshotClasses);
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes);
  const ofClaim = (key: string): readonly string[] => snapshots.byIndex('claim', key).map(keyOf);
  return runController({
    name: 'snapshot-controller',
    ...{ clock, logger },
    sources: [
      source(snapshots, ({ key, old, current }) => [
        key,
        // Others of the same claim hold it, or let it go.
        ...[old, current].flatMap((one) => (one === undefined ? [] : claimKeyOf(one).flatMap(ofClaim))),
      ]),
      source(contents, ({ key, old, current }) => [
        ...snapshots.byIndex('content', key).map(keyOf),
        ...[old, current].flatMap((one) => {
          const { namespace, name } = one?.spec.volumeSnapshotRef ?? {};
          return name === undefined ? [] : [`${namespace ?? ''}/${name}`];
        }),
      ]),
      source(claims, ({ key, old, current }) => [
        ...ofClaim(key),
        ...[old, current].flatMap(snapshotsOfClaim),
      ]),
      source(volumes, ({ current }) => claimKeysOfVolume(current).flatMap(ofClaim)),
      source(classes, () =>
        snapshots
          .list()
          .filter(({ status }) => status?.readyToUse !== true)
          .map(keyOf),
      ),
    ],
    reconcile: async (key) => {
      const snapshot = snapshots.get(key);
      if (snapshot === undefined) return;
      const step = planSnapshot(sceneOf(context, snapshot));
      await carryOut(step, snapshot, context);
    },
  });
}

const keyOf = ({ metadata }: VolumeSnapshot): string =>
  `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;

function claimKeyOf({ metadata, spec }: VolumeSnapshot): readonly string[] {
  const { persistentVolumeClaimName: name } = spec.source;
  return name === undefined ? [] : [`${metadata?.namespace ?? ''}/${name}`];
}

/** Its own, the one that it was given, or the one that it would have made. */
function contentOf(snapshot: VolumeSnapshot): string {
  const { volumeSnapshotContentName: given } = snapshot.spec.source;
  return given ?? snapshot.status?.boundVolumeSnapshotContentName ?? contentNameOf(snapshot);
}

/** Snapshots that a claim is made of. */
function snapshotsOfClaim(claim: PersistentVolumeClaim | undefined): readonly string[] {
  const { dataSource, dataSourceRef } = claim?.spec ?? {};
  return [dataSource, dataSourceRef]
    .filter((from) => from?.kind === 'VolumeSnapshot' && from.apiGroup === snapshotGroup)
    .map((from) => `${claim?.metadata?.namespace ?? ''}/${from?.name ?? ''}`);
}

function sceneOf({ informers, driver }: CsiContext, snapshot: VolumeSnapshot): SnapshotScene {
  const claims = informers.for(persistentVolumeClaims);
  const classes = informers.for(volumeSnapshotClasses);
  const snapshots = informers.for(volumeSnapshots);
  const [claimKey] = claimKeyOf(snapshot);
  const claim = claimKey === undefined ? undefined : claims.get(claimKey);
  const own = snapshot.metadata?.uid;
  const others = claimKey === undefined ? [] : snapshots.byIndex('claim', claimKey);
  return {
    snapshot,
    driver: driver.name,
    content: informers.for(volumeSnapshotContents).get(contentOf(snapshot)),
    snapshotClass: classes.get(snapshot.spec.volumeSnapshotClassName ?? ''),
    defaultClasses: classes
      .list()
      .filter(
        (one) => one.driver === driver.name && one.metadata?.annotations?.[defaultClassAnnotation] === 'true',
      ),
    claim,
    volume: informers.for(persistentVolumes).get(claim?.spec?.volumeName ?? ''),
    isRestored: claims
      .list()
      .some((one) => one.status?.phase === 'Pending' && snapshotsOfClaim(one).includes(keyOf(snapshot))),
    // One that failed for good must not keep a claim (external-snapshotter #1305): those that hold it are asked for, and not ready.
    isClaimUsed: others.some(
      ({ metadata, status }) =>
        metadata?.uid !== own &&
        metadata?.deletionTimestamp === undefined &&
        status?.readyToUse !== true &&
        status?.error === undefined,
    ),
  };
}

async function carryOut(step: SnapshotStep, snapshot: VolumeSnapshot, context: CsiContext): Promise<void> {
  const { client, informers } = context;
  const { name = '', namespace } = snapshot.metadata ?? {};
  switch (step.kind) {
    case 'nothing':
      return;
    case 'tell':
      return tell(context, snapshot, step.event);
    case 'fail':
      return failWith(context, snapshot, step.event);
    case 'setClass': {
      const next = { ...snapshot, spec: { ...snapshot.spec, volumeSnapshotClassName: step.name } };
      return void informers.for(volumeSnapshots).observe(await client.update(volumeSnapshots, next));
    }
    case 'setFinalizers': {
      const next = { ...snapshot, metadata: { ...snapshot.metadata, finalizers: step.finalizers } };
      return void (await unlessGone(async () =>
        informers.for(volumeSnapshots).observe(await client.update(volumeSnapshots, next)),
      ));
    }
    case 'setClaimFinalizers':
      return setClaimFinalizers(context, snapshot, step.finalizers);
    case 'createContent':
      return createContent(context, snapshot, step);
    case 'updateContent':
      return void informers
        .for(volumeSnapshotContents)
        .observe(await client.update(volumeSnapshotContents, step.content));
    case 'deleteContent':
      return unlessGone(() => client.delete(volumeSnapshotContents, { name: step.name }));
    case 'setStatus': {
      const cleared = { creationTime: null, restoreSize: null, error: null };
      const body = { metadata: { uid: snapshot.metadata?.uid }, status: { ...cleared, ...step.status } };
      const how = { kind: 'merge', body, subresource: 'status' } as const;
      informers.for(volumeSnapshots).observe(await client.patch(volumeSnapshots, { namespace, name }, how));
      for (const event of step.events) tell(context, snapshot, event);
      return;
    }
    default:
      return unreachable(step);
  }
}

function tell(
  { recorder }: CsiContext,
  snapshot: VolumeSnapshot,
  { type, reason, message }: SnapshotEvent,
): void {
  recorder.record({ kind: volumeSnapshots, object: snapshot }, type, reason, message);
}

/** Said once on the status and as an event; thrown, so that it is tried again. */
async function failWith(context: CsiContext, snapshot: VolumeSnapshot, event: SnapshotEvent): Promise<void> {
  const { client, clock, informers } = context;
  const { name = '', namespace, uid } = snapshot.metadata ?? {};
  if (snapshot.status?.error?.message !== event.message) {
    const error = { time: formatTime(clock.now()), message: event.message };
    const body = { metadata: { uid }, status: { error, readyToUse: false } };
    const how = { kind: 'merge', body, subresource: 'status' } as const;
    informers.for(volumeSnapshots).observe(await client.patch(volumeSnapshots, { namespace, name }, how));
    tell(context, snapshot, event);
  }
  throw new PodwrightError('E_BUSY', `snapshot ${namespace ?? ''}/${name}: ${event.message}`);
}

async function setClaimFinalizers(
  { client, informers }: CsiContext,
  snapshot: VolumeSnapshot,
  finalizers: readonly string[],
): Promise<void> {
  const [key = ''] = claimKeyOf(snapshot);
  const claim = informers.for(persistentVolumeClaims).get(key);
  if (claim === undefined) return;
  const next = { ...claim, metadata: { ...claim.metadata, finalizers } };
  await unlessGone(async () =>
    informers.for(persistentVolumeClaims).observe(await client.update(persistentVolumeClaims, next)),
  );
}

async function createContent(
  context: CsiContext,
  snapshot: VolumeSnapshot,
  { content }: Extract<SnapshotStep, { kind: 'createContent' }>,
): Promise<void> {
  const { client, informers } = context;
  try {
    informers.for(volumeSnapshotContents).observe(await client.create(volumeSnapshotContents, content));
  } catch (error) {
    if (isAlreadyExists(error)) return; // Its change is on the way.
    throw error;
  }
  const message = `Waiting for a snapshot ${keyOf(snapshot)} to be created by the CSI driver.`;
  tell(context, snapshot, { type: 'Normal', reason: 'CreatingSnapshot', message });
}

async function unlessGone(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
