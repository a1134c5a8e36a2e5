/** What a VolumeSnapshot needs next: the part of external-snapshotter's snapshot-controller that decides. Pure. */
import type { PersistentVolume, PersistentVolumeClaim, SecretReference } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { PodwrightError } from '#base/errors.ts';
import { binarySize } from '#control-plane/csi/plan-volume.ts';
import {
  asSourceFinalizer,
  beingDeletedAnnotation,
  boundFinalizer,
  claimFinalizer,
  contentFinalizer,
  contentNameOf,
  deletionSecretAnnotation,
  deletionSecretNamespaceAnnotation,
  pointsAt,
  type VolumeSnapshot,
  type VolumeSnapshotClass,
  type VolumeSnapshotContent,
  type VolumeSnapshotStatus,
} from './snapshot-kinds.ts';

export interface SnapshotScene {
  readonly snapshot: VolumeSnapshot;
  readonly driver: string;
  /** By the name that the snapshot has, or would have made. */
  readonly content: VolumeSnapshotContent | undefined;
  /** The one that it names; undefined: it names none, or there is none. */
  readonly snapshotClass: VolumeSnapshotClass | undefined;
  /** Of the driver of its claim's volume. */
  readonly defaultClasses: readonly VolumeSnapshotClass[];
  /** Of its source. */
  readonly claim: PersistentVolumeClaim | undefined;
  readonly volume: PersistentVolume | undefined;
  /** Claims are being made of it. */
  readonly isRestored: boolean;
  /** Other snapshots are being taken of its claim. */
  readonly isClaimUsed: boolean;
}

export interface SnapshotEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** One write; planning again goes on behind it. */
export type SnapshotStep =
  | { readonly kind: 'nothing' }
  /** `isWaiting`: a change of another object will help; else it is tried again. */
  | { readonly kind: 'fail'; readonly event: SnapshotEvent; readonly isWaiting?: true }
  | { readonly kind: 'tell'; readonly event: SnapshotEvent }
  | { readonly kind: 'setClass'; readonly name: string }
  | { readonly kind: 'setFinalizers'; readonly finalizers: readonly string[] }
  | { readonly kind: 'setClaimFinalizers'; readonly finalizers: readonly string[] }
  | { readonly kind: 'createContent'; readonly content: VolumeSnapshotContent }
  | { readonly kind: 'updateContent'; readonly content: VolumeSnapshotContent }
  | { readonly kind: 'deleteContent'; readonly name: string }
  | {
      readonly kind: 'setStatus';
      readonly status: VolumeSnapshotStatus;
      readonly events: readonly SnapshotEvent[];
    };

const nothing: SnapshotStep = { kind: 'nothing' };
const fail = (reason: string, message: string): SnapshotStep => ({
  kind: 'fail',
  event: { type: 'Warning', reason, message },
});

const keyOf = ({ metadata }: VolumeSnapshot): string =>
  `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;

export function planSnapshot(scene: SnapshotScene): SnapshotStep {
  const { snapshot } = scene;
  if (!isOurs(scene)) return nothing;
  if (snapshot.metadata?.deletionTimestamp !== undefined) return planEnd(scene);
  const { persistentVolumeClaimName: claim, volumeSnapshotContentName: content } = snapshot.spec.source;
  if ((claim === undefined) === (content === undefined))
    return fail(
      'SnapshotValidationError',
      'Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified',
    );
  return claim === undefined ? planStatic(scene) : planDynamic(scene);
}

/** What says of which driver it is: its content, its class, the volume of its claim. Of what nothing says, everybody speaks alike. */
function isOurs({ driver, content, snapshotClass, volume }: SnapshotScene): boolean {
  const said = content?.spec.driver ?? snapshotClass?.driver ?? volume?.spec?.csi?.driver;
  return said === undefined || said === driver;
}

function planDynamic(scene: SnapshotScene): SnapshotStep {
  const { snapshot, content, defaultClasses } = scene;
  if (content === undefined && snapshot.status?.boundVolumeSnapshotContentName !== undefined)
    return fail('SnapshotContentMissing', 'VolumeSnapshotContent is missing');
  if (content !== undefined) {
    const name = content.metadata?.name ?? '';
    if (content.spec.source.volumeHandle === undefined)
      return fail(
        'SnapshotContentMismatch',
        `VolumeSnapshotContent ${name} is pre-provisioned while expecting a dynamically provisioned one`,
      );
    return planBound(scene, content);
  }
  if (snapshot.spec.volumeSnapshotClassName === undefined) {
    const failed = (why: string): SnapshotStep =>
      fail('SetDefaultSnapshotClassFailed', `Failed to set default snapshot class with error ${why}`);
    const missing = sourceProblem(scene);
    if (missing !== undefined) return failed(missing);
    const [only, ...others] = defaultClasses;
    if (only === undefined) return failed('cannot find default snapshot class');
    if (others.length > 0) return failed(`${defaultClasses.length} default snapshot classes were found`);
    return { kind: 'setClass', name: only.metadata?.name ?? '' };
  }
  const finalizers = withFinalizers(snapshot, [asSourceFinalizer]);
  if (finalizers !== undefined) return { kind: 'setFinalizers', finalizers };
  return planCreation(scene);
}

/** Why there is nothing to take a snapshot of. */
function sourceProblem({ snapshot, claim, volume, driver }: SnapshotScene): string | undefined {
  const name = snapshot.spec.source.persistentVolumeClaimName ?? '';
  if (claim === undefined)
    return `failed to retrieve PVC ${name} from the lister: "persistentvolumeclaim \\"${name}\\" not found"`;
  if (claim.status?.phase !== 'Bound' || volume === undefined)
    return `the PVC ${name} is not yet bound to a PV, will not attempt to take a snapshot`;
  if (volume.spec?.csi === undefined)
    return `unsupported PersistentVolumeSource in PV ${volume.metadata?.name ?? ''}`;
  if (volume.spec.csi.driver !== driver)
    return `snapshot driver ${driver} does not match the driver ${volume.spec.csi.driver} of the volume`;
  return undefined;
}

/** The claim does not go before it is taken; what is taken is written down before anybody is asked for it. */
function planCreation(scene: SnapshotScene): SnapshotStep {
  const { snapshot, claim, snapshotClass, volume } = scene;
  const failed = (why: string): SnapshotStep =>
    fail('SnapshotContentCreationFailed', `Failed to create snapshot content with error ${why}`);
  const className = snapshot.spec.volumeSnapshotClassName ?? '';
  if (snapshotClass === undefined)
    return failed(`failed to retrieve snapshot class ${className} from the informer: not found`);
  const problem = sourceProblem(scene);
  if (problem !== undefined) return failed(problem);
  if (claim?.metadata?.finalizers?.includes(claimFinalizer) !== true) {
    if (claim?.metadata?.deletionTimestamp !== undefined)
      return failed(
        `snapshot controller failed to update ${claim.metadata.name ?? ''} on API server: cannot add finalizer on claim because it is being deleted`,
      );
    return {
      kind: 'setClaimFinalizers',
      finalizers: [...(claim?.metadata?.finalizers ?? []), claimFinalizer],
    };
  }
  try {
    const source = { volumeHandle: volume?.spec?.csi?.volumeHandle ?? '' };
    const sourceVolumeMode = volume?.spec?.volumeMode;
    return {
      kind: 'createContent',
      content: renderContent(snapshot, snapshotClass, { source, sourceVolumeMode }),
    };
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

function renderContent(
  snapshot: VolumeSnapshot,
  snapshotClass: VolumeSnapshotClass,
  of: Pick<VolumeSnapshotContent['spec'], 'source' | 'sourceVolumeMode'>,
): VolumeSnapshotContent {
  const { name, namespace, uid } = snapshot.metadata ?? {};
  const contentName = contentNameOf(snapshot);
  const secret = snapshotSecret('snapshotter', snapshotClass, { snapshot, contentName });
  return {
    metadata: {
      name: contentName,
      finalizers: [contentFinalizer],
      ...(secret === undefined
        ? {}
        : {
            annotations: {
              [deletionSecretAnnotation]: secret.name ?? '',
              [deletionSecretNamespaceAnnotation]: secret.namespace ?? '',
            },
          }),
    },
    spec: {
      volumeSnapshotRef: {
        ...{ apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshot', name, namespace, uid },
      },
      deletionPolicy: snapshotClass.deletionPolicy,
      driver: snapshotClass.driver,
      volumeSnapshotClassName: snapshotClass.metadata?.name,
      ...of,
    },
  };
}

/** What a class names for calls about snapshots (`csi.storage.k8s.io/snapshotter-secret-name`). @throws {E_INVALID} */
export function snapshotSecret(
  step: 'snapshotter' | 'snapshotter-list',
  { parameters = {} }: Pick<VolumeSnapshotClass, 'parameters'>,
  { snapshot, contentName }: { readonly snapshot?: VolumeSnapshot; readonly contentName: string },
): SecretReference | undefined {
  const [name, namespace] = ['name', 'namespace'].map(
    (part) => parameters[`csi.storage.k8s.io/${step}-secret-${part}`],
  );
  if (name === undefined && namespace === undefined) return undefined;
  if (name === undefined || namespace === undefined)
    throw new PodwrightError(
      'E_INVALID',
      `either name and namespace for ${step} secrets specified, Both must be specified`,
    );
  const values: Readonly<Record<string, string | undefined>> = {
    'volumesnapshotcontent.name': contentName,
    'volumesnapshot.name': snapshot?.metadata?.name,
    'volumesnapshot.namespace': snapshot?.metadata?.namespace,
  };
  const filled = (template: string): string =>
    template.replaceAll(/\$\{([^}]*)\}/g, (whole, key: string) => {
      const value = values[key];
      if (value === undefined)
        throw new PodwrightError('E_INVALID', `invalid tokens: [${JSON.stringify(whole)}]`);
      return value;
    });
  return { name: filled(name), namespace: filled(namespace) };
}

function planStatic(scene: SnapshotScene): SnapshotStep {
  const { snapshot, content } = scene;
  if (content === undefined) return fail('SnapshotContentMissing', 'VolumeSnapshotContent is missing');
  const name = content.metadata?.name ?? '';
  if (content.spec.source.snapshotHandle === undefined)
    return fail(
      'SnapshotContentMismatch',
      'VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one',
    );
  const { volumeSnapshotRef: to } = content.spec;
  const { metadata } = snapshot;
  const isForIt = to.name === metadata?.name && to.namespace === metadata?.namespace;
  if (!isForIt || (to.uid !== undefined && to.uid !== '' && to.uid !== metadata?.uid))
    return fail(
      'SnapshotContentMisbound',
      `VolumeSnapshotContent [${name}] is bound to a different snapshot`,
    );
  const isHeld = content.metadata?.finalizers?.includes(contentFinalizer) === true;
  if (to.uid !== metadata?.uid || (!isHeld && content.metadata?.deletionTimestamp === undefined)) {
    const className = content.spec.volumeSnapshotClassName ?? snapshot.spec.volumeSnapshotClassName;
    const finalizers = [...new Set([...(content.metadata?.finalizers ?? []), contentFinalizer])];
    return {
      kind: 'updateContent',
      content: {
        ...content,
        metadata: { ...content.metadata, finalizers },
        spec: {
          ...content.spec,
          volumeSnapshotRef: { ...to, uid: metadata?.uid },
          ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
        },
      },
    };
  }
  return planBound(scene, content);
}

/** Both are there: each is told of the other, the snapshot what became of it. */
function planBound(scene: SnapshotScene, content: VolumeSnapshotContent): SnapshotStep {
  const { snapshot, claim, isClaimUsed } = scene;
  const name = content.metadata?.name ?? '';
  if (!pointsAt(content, snapshot))
    return snapshot.status?.readyToUse === true
      ? fail('SnapshotMisbound', 'VolumeSnapshotContent is not bound to the VolumeSnapshot correctly')
      : fail('SnapshotContentMisbound', `VolumeSnapshotContent [${name}] is bound to a different snapshot`);
  const holders = [asSourceFinalizer, ...(content.spec.deletionPolicy === 'Delete' ? [boundFinalizer] : [])];
  const finalizers = withFinalizers(snapshot, holders);
  if (finalizers !== undefined) return { kind: 'setFinalizers', finalizers };
  const step = planStatus(snapshot, content);
  if (step !== undefined) return step;
  if (snapshot.status?.readyToUse === true && !isClaimUsed) return letGoOfClaim(claim) ?? nothing;
  return nothing;
}

function planStatus(snapshot: VolumeSnapshot, content: VolumeSnapshotContent): SnapshotStep | undefined {
  const { status: before = {} } = snapshot;
  const { creationTime, restoreSize, readyToUse, error } = content.status ?? {};
  const status: VolumeSnapshotStatus = {
    boundVolumeSnapshotContentName: content.metadata?.name,
    readyToUse: readyToUse === true,
    ...(creationTime === undefined ? {} : { creationTime: formatTime(Math.floor(creationTime / 1_000_000)) }),
    ...(restoreSize === undefined ? {} : { restoreSize: binarySize(restoreSize) }),
    ...(error === undefined ? {} : { error }),
  };
  const same = (Object.keys({ ...before, ...status }) as readonly (keyof VolumeSnapshotStatus)[]).every(
    (key) =>
      key === 'error' ? before.error?.message === status.error?.message : before[key] === status[key],
  );
  if (same) return undefined;
  const events: SnapshotEvent[] = [];
  const say = (reason: string, message: string): void =>
    void events.push({ type: 'Normal', reason, message });
  if (before.creationTime === undefined && status.creationTime !== undefined)
    say('SnapshotCreated', `Snapshot ${keyOf(snapshot)} was successfully created by the CSI driver.`);
  if (before.readyToUse !== true && status.readyToUse === true)
    say('SnapshotReady', `Snapshot ${keyOf(snapshot)} is ready to use.`);
  return { kind: 'setStatus', status, events };
}

function letGoOfClaim(claim: PersistentVolumeClaim | undefined): SnapshotStep | undefined {
  const finalizers = claim?.metadata?.finalizers ?? [];
  if (!finalizers.includes(claimFinalizer)) return undefined;
  return { kind: 'setClaimFinalizers', finalizers: finalizers.filter((one) => one !== claimFinalizer) };
}

function withFinalizers(
  { metadata }: VolumeSnapshot,
  wanted: readonly string[],
): readonly string[] | undefined {
  const there = metadata?.finalizers ?? [];
  return wanted.every((one) => there.includes(one)) ? undefined : [...new Set([...there, ...wanted])];
}

/** It goes: the content is told, and deleted where that is its policy; the snapshot follows when the content is gone. */
function planEnd(scene: SnapshotScene): SnapshotStep {
  const { snapshot, claim, isRestored, isClaimUsed } = scene;
  const content =
    scene.content !== undefined && pointsAt(scene.content, snapshot) ? scene.content : undefined;
  const own = snapshot.metadata?.finalizers ?? [];
  if (!own.includes(asSourceFinalizer) && !own.includes(boundFinalizer)) return nothing;
  if (content !== undefined && isRestored) {
    const message = 'Snapshot is being used to restore a PVC';
    return { kind: 'tell', event: { type: 'Warning', reason: 'SnapshotDeletePending', message } };
  }
  if (content !== undefined && content.metadata?.annotations?.[beingDeletedAnnotation] === undefined) {
    const annotations = { ...content.metadata?.annotations, [beingDeletedAnnotation]: 'yes' };
    return { kind: 'updateContent', content: { ...content, metadata: { ...content.metadata, annotations } } };
  }
  const isDeleted = content?.spec.deletionPolicy === 'Delete';
  if (isDeleted && content?.metadata?.deletionTimestamp === undefined)
    return { kind: 'deleteContent', name: content?.metadata?.name ?? '' };
  const released = isClaimUsed ? undefined : letGoOfClaim(claim);
  if (released !== undefined) return released;
  const gone = new Set([asSourceFinalizer, ...(isDeleted ? [] : [boundFinalizer])]);
  const finalizers = own.filter((one) => !gone.has(one));
  return finalizers.length === own.length ? nothing : { kind: 'setFinalizers', finalizers };
}
