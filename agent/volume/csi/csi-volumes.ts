/**
 * Volumes of drivers. What a driver may have done is written down before it is asked to, and undone by what is written, whatever the API
 * says by then (decision 0105):
 *
 *   csi.json ─▶ Node says it is in use ─▶ attached ─▶ staged.json ─▶ NodeStage ─▶ (NodeExpand) ─▶ NodePublish ─▶ group ─▶ csi.json: whole
 *   NodeUnpublish ─▶ target gone ─▶ last pod: NodeUnstage ─▶ staged.json gone ─▶ csi.json gone ─▶ Node no longer says so
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { createKeyLock } from '#base/key-lock.ts';
import type { CSIDriver, CSIVolumeSource, SecretReference } from '#api/generated/objects.ts';
import { attachedName, isAttachRequired } from '#api/volume/attachment.ts';
import { modeOf } from '#api/volume/match.ts';
import { giveGroup } from '#native/fs/give-group.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import { deviceAt } from '#agent/volume/claims/device-at.ts';
import type {
  ClaimWish,
  CsiVolumes,
  Expansion,
  MountedVolume,
  Mounter,
  ServiceAccountToken,
  VolumeContext,
} from '#agent/volume/volume.ts';
import type { CsiAttachments } from './csi-attachment.ts';
import type { CsiDriverClient, CsiDrivers } from './csi-drivers.ts';
import { inlineHandle, type CsiPaths } from './csi-paths.ts';
import {
  readCsiRecord,
  findCsiRecords,
  readWholeStageRecord,
  writeCsiRecord,
  writeStageRecord,
  type CsiRecord,
} from './csi-records.ts';
import { groupWay, podContext, renderTokens, tokensKey } from './csi-requests.ts';
import { unmountPod, unstageUnused, type Unmounting } from './csi-unmount.ts';

export interface CsiVolumesOptions {
  readonly drivers: CsiDrivers;
  readonly attachments: CsiAttachments;
  readonly paths: CsiPaths;
  /** Below it the records of pods. */
  readonly podsDirectory: string;
  /** Undefined: nobody made one. */
  readonly driverObject: (name: string) => Promise<CSIDriver | undefined>;
  readonly mounter: Mounter;
  readonly clock: Clock;
  readonly bootId: string;
  /** A volume is the node's no longer. */
  readonly onReleased: () => void;
}

/** A volume, wherever it is said. */
interface Wish {
  readonly driver: string;
  readonly handle: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly fsType: string | undefined;
  readonly isReadOnly: boolean;
  readonly isDevice: boolean;
  readonly mountOptions: readonly string[];
  readonly accessModes: readonly string[];
  readonly isInline: boolean;
  readonly secrets: { readonly [Step in 'stage' | 'publish' | 'expand']?: SecretReference | undefined };
  readonly expansion: Expansion | undefined;
}

/** How often a driver that asks for it is asked anew, and volumes that can grow are looked at. */
const republishMs = 60_000;

export function createCsiVolumes(options: CsiVolumesOptions): Omit<CsiVolumes, 'unstageSoon'> {
  const lock = createKeyLock();
  const unmounting: Unmounting = { ...options, lock };
  const mount = (wish: Wish, context: VolumeContext): Promise<MountedVolume> =>
    new Mount({ options, wish, context, unmounting }).run();
  return {
    mountVolume: (wish, context) => mount(claimWish(wish), context),
    mountInline: (source, context) => mount(inlineWish(source, context), context),
    unmountPod: (podDirectory) => unmountPod(unmounting, podDirectory),
    unstageUnused: (driver) => unstageUnused(unmounting, driver),
    volumesInUse: async () => inUse((await findCsiRecords(options.podsDirectory)).whole),
  };
}

function inUse(records: readonly CsiRecord[]): readonly string[] {
  const names = records
    .filter(({ isAttached }) => isAttached)
    .map(({ driver, handle }) => attachedName({ driver, volumeHandle: handle }));
  return [...new Set(names)].toSorted();
}

function claimWish({ volume, isReadOnly, expansion }: ClaimWish): Wish {
  const { csi, mountOptions = [], accessModes = [] } = volume.spec ?? {};
  if (csi === undefined) throw new PodwrightError('E_INTERNAL', 'mount a volume of CSI that is none');
  return {
    ...{ driver: csi.driver, handle: csi.volumeHandle, name: volume.metadata?.name ?? '' },
    ...{ attributes: csi.volumeAttributes ?? {}, fsType: csi.fsType, mountOptions, accessModes },
    isReadOnly: isReadOnly || csi.readOnly === true,
    isDevice: modeOf(volume) === 'Block',
    isInline: false,
    secrets: {
      stage: csi.nodeStageSecretRef,
      publish: csi.nodePublishSecretRef,
      expand: csi.nodeExpandSecretRef,
    },
    expansion,
  };
}

function inlineWish(source: CSIVolumeSource, { pod, volume }: VolumeContext): Wish {
  const { name } = source.nodePublishSecretRef ?? {};
  const namespace = pod.metadata?.namespace;
  return {
    ...{
      driver: source.driver,
      handle: inlineHandle(pod.metadata?.uid ?? '', volume.name),
      name: volume.name,
    },
    ...{ attributes: source.volumeAttributes ?? {}, fsType: source.fsType, mountOptions: [] },
    ...{ isReadOnly: source.readOnly === true, isDevice: false, isInline: true, expansion: undefined },
    accessModes: ['ReadWriteOnce'],
    secrets: name === undefined ? {} : { publish: { name, namespace } },
  };
}

interface MountInput {
  readonly options: CsiVolumesOptions;
  readonly wish: Wish;
  readonly context: VolumeContext;
  readonly unmounting: Unmounting;
}

/** One way from a wish to a mounted volume, from any point that an earlier one reached. */
class Mount {
  readonly #options: CsiVolumesOptions;
  readonly #wish: Wish;
  readonly #context: VolumeContext;
  readonly #unmounting: Unmounting;

  constructor({ options, wish, context, unmounting }: MountInput) {
    this.#options = options;
    this.#wish = wish;
    this.#context = context;
    this.#unmounting = unmounting;
  }

  async run(): Promise<MountedVolume> {
    const { drivers, driverObject, attachments, podsDirectory } = this.#options;
    const wish = this.#wish;
    const { signal } = this.#context;
    const object = await driverObject(wish.driver);
    checkLifecycle(wish, object);
    const driver = drivers.get(wish.driver);
    const isAttached = !wish.isInline && isAttachRequired(object);
    const key = `${wish.driver}^${wish.handle}`;
    const { lock } = this.#unmounting;
    const record = await lock(key, () => this.#write(driver, isAttached));
    const attached = isAttached
      ? await attachments.await(wish, inUse((await findCsiRecords(podsDirectory)).whole), signal)
      : {};
    return lock(key, () => this.#mount({ driver, object, attached, record }));
  }

  /** That the driver is about to be asked; what stands there of an earlier time stays. */
  async #write(driver: CsiDriverClient, isAttached: boolean): Promise<CsiRecord> {
    const { directory, pod } = this.#context;
    const { name, isDevice, handle, isInline } = this.#wish;
    const before = await readCsiRecord(directory);
    if (before?.handle === handle && before.driver === driver.name) return before;
    if (before !== undefined)
      throw new PodwrightError(
        'E_CONFLICT',
        `volume ${name}: the pod has ${before.driver} ${before.handle} at its place`,
      );
    const { paths } = this.#options;
    const isStaged = !isInline && driver.capabilities.has('STAGE_UNSTAGE_VOLUME');
    const device = isDevice ? { device: name } : {};
    const record: CsiRecord = {
      ...{ driver: driver.name, handle, volume: name, isAttached, isDevice },
      target: paths.target({ podUid: pod.metadata?.uid ?? '', name, isDevice }),
      ...(isStaged ? { staging: paths.staging({ driver: driver.name, handle, ...device }) } : {}),
    };
    await mkdir(directory, { recursive: true });
    await writeCsiRecord(directory, record);
    return record;
  }

  async #mount(given: Given): Promise<MountedVolume> {
    const { bootId, clock } = this.#options;
    const { directory } = this.#context;
    const { driver, object, record } = given;
    const wish = this.#wish;
    const now = await readCsiRecord(directory);
    if (now === undefined)
      throw new PodwrightError('E_CONFLICT', `volume ${wish.name}: it is being taken from the pod`);
    const capability = this.#capability(given);
    if (record.staging !== undefined) await this.#stage(record.staging, given, capability);
    const isThere = now.bootId === bootId;
    // Of what is published already the pod's place is told, as of a device, which has none before (operation_generator.go of kubernetes).
    const stagedAt = wish.isDevice || isThere ? undefined : record.staging;
    const growth = { capability, now };
    const staged =
      stagedAt === undefined ? undefined : await this.#expand(given, { ...growth, at: stagedAt });
    const tokens = await this.#tokens(object);
    if (!isThere || object?.spec.requiresRepublish === true)
      await this.#publish(given, { capability, tokens });
    const notGrown =
      stagedAt === undefined ? await this.#expand(given, { ...growth, at: record.target }) : staged;
    const group = await this.#giveGroup(given, now);
    const refusedBytes = notGrown === undefined ? undefined : wish.expansion?.bytes;
    const { refusedBytes: refusedBefore, ...rest } = now;
    const whole: CsiRecord = {
      ...{ ...rest, bootId },
      ...(group === undefined ? {} : { group }),
      ...(refusedBytes === undefined ? {} : { refusedBytes }),
    };
    if (!isThere || group !== now.group || refusedBytes !== refusedBefore)
      await writeCsiRecord(directory, whole);
    const isLooked = object?.spec.requiresRepublish === true || driver.capabilities.has('EXPAND_VOLUME');
    const times = [
      ...(isLooked && !wish.isInline ? [clock.now() + republishMs] : []),
      ...(object?.spec.requiresRepublish === true
        ? [clock.now() + republishMs, ...tokens.map((one) => one.refreshAtMs)]
        : []),
    ];
    const more = {
      ...(times.length === 0 ? {} : { refreshAtMs: Math.min(...times) }),
      ...(notGrown === undefined ? {} : { notGrown }),
    };
    if (wish.isDevice) return { ...(await deviceAt(record.target, wish.name)), ...more };
    return { path: record.target, isReadOnly: wish.isReadOnly, ...more };
  }

  #capability({ driver, object }: Given): ReturnType<typeof renderCapability> {
    const { accessModes, isDevice, fsType, mountOptions } = this.#wish;
    const isGroupBy = this.#groupWay(driver, object) === 'driver';
    return renderCapability({
      ...{ isBlock: isDevice, fsType, mountOptions },
      group: isGroupBy ? this.#context.fsGroup : undefined,
      mode: accessMode(
        accessModes[0] ?? 'ReadWriteOnce',
        driver.capabilities.has('SINGLE_NODE_MULTI_WRITER'),
      ),
    });
  }

  #groupWay(driver: CsiDriverClient, object: CSIDriver | undefined): ReturnType<typeof groupWay> {
    const { accessModes, fsType, isReadOnly, isDevice } = this.#wish;
    if (this.#context.fsGroup === undefined || isDevice) return 'none';
    return groupWay({
      policy: object?.spec.fsGroupPolicy,
      isByDriver: driver.capabilities.has('VOLUME_MOUNT_GROUP'),
      ...{ fsType, accessModes, isReadOnly },
    });
  }

  async #stage(
    staging: string,
    given: Given,
    capability: ReturnType<typeof renderCapability>,
  ): Promise<void> {
    const { paths, bootId } = this.#options;
    const { name, handle, attributes, secrets } = this.#wish;
    const { driver, attached } = given;
    const own = paths.volume(driver.name, handle);
    const before = await readWholeStageRecord(own); // One that cannot be read is written anew: staging is safe to repeat.
    if (before?.bootId === bootId) return;
    await mkdir(own, { recursive: true, mode: 0o750 });
    const record = { driver: driver.name, handle, volume: name, staging };
    await writeStageRecord(own, record);
    await mkdir(staging, { recursive: true, mode: 0o750 });
    await driver.call(
      'NodeStageVolume',
      {
        ...{ volume_id: handle, publish_context: attached, staging_target_path: driver.place(staging) },
        ...{ volume_capability: capability, volume_context: attributes },
        secrets: await this.#secret(secrets.stage),
      },
      this.#context.signal,
    );
    await writeStageRecord(own, { ...record, bootId });
  }

  /** The driver's part of a volume that is larger than its claim was told (NodeExpandVolume). */
  async #expand(
    { driver, record }: Given,
    { at, now, capability }: Growth,
  ): Promise<MountedVolume['notGrown']> {
    const { expansion, handle, secrets, name } = this.#wish;
    if (expansion === undefined || !driver.capabilities.has('EXPAND_VOLUME')) return undefined;
    const { bytes: required_bytes } = expansion;
    if (now.bootId === this.#options.bootId && now.refusedBytes === required_bytes) return {};
    const secret = await this.#secret(secrets.expand);
    await expansion.begin();
    try {
      await driver.call(
        'NodeExpandVolume',
        {
          ...{ volume_id: handle, volume_path: driver.place(at), capacity_range: { required_bytes } },
          staging_target_path: placeOf(driver, record.staging),
          volume_capability: capability,
          secrets: secret,
        },
        this.#context.signal,
      );
      return undefined;
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (!(await expansion.fail(error))) throw error;
      return {
        message: `NodeExpandVolume failed for volume ${JSON.stringify(name)}: ${describeError(error)}`,
      };
    }
  }

  async #publish(
    { driver, object, attached, record }: Given,
    {
      capability,
      tokens,
    }: { readonly capability: ReturnType<typeof renderCapability>; readonly tokens: readonly Token[] },
  ): Promise<void> {
    const { handle, attributes, secrets, isReadOnly, isInline } = this.#wish;
    const { pod, signal } = this.#context;
    // The target itself is the driver's to make (CSI NodePublishVolumeRequest).
    await mkdir(path.dirname(record.target), { recursive: true, mode: 0o750 });
    const told = tokens.length === 0 ? {} : { [tokensKey]: renderTokens(tokens) };
    const areSecret = object?.spec.serviceAccountTokenInSecrets === true;
    const given = await this.#secret(secrets.publish);
    await driver.call(
      'NodePublishVolume',
      {
        ...{
          volume_id: handle,
          publish_context: attached,
          staging_target_path: placeOf(driver, record.staging),
        },
        ...{ target_path: driver.place(record.target), volume_capability: capability, readonly: isReadOnly },
        secrets: areSecret ? { ...given, ...told } : given,
        volume_context: { ...attributes, ...podContext(object, pod, isInline), ...(areSecret ? {} : told) },
      },
      signal,
    );
  }

  async #tokens(object: CSIDriver | undefined): Promise<readonly Token[]> {
    const { objects, pod } = this.#context;
    const wishes = object?.spec.tokenRequests ?? [];
    return Promise.all(
      wishes.map(async ({ audience, expirationSeconds = 3600 }) => ({
        audience,
        ...(await objects.serviceAccountToken({ pod, audience, expirationSeconds })),
      })),
    );
  }

  async #secret(reference: SecretReference | undefined): Promise<Readonly<Record<string, string>>> {
    if (reference?.name === undefined) return {};
    const namespace = reference.namespace ?? '';
    const secret = await this.#context.objects.secret(namespace, reference.name);
    if (secret === undefined)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `secrets ${JSON.stringify(reference.name)} not found in namespace ${namespace}`,
      );
    const entries = Object.entries(secret.data ?? {});
    return Object.fromEntries(
      entries.map(([key, data]) => [key, Buffer.from(data, 'base64').toString('utf8')]),
    );
  }

  async #giveGroup({ driver, object, record }: Given, now: CsiRecord): Promise<number | undefined> {
    const { fsGroup, pod, signal } = this.#context;
    if (fsGroup === undefined || now.group === fsGroup) return now.group;
    if (this.#groupWay(driver, object) !== 'walk') return undefined;
    const onRootMismatch = pod.spec?.securityContext?.fsGroupChangePolicy === 'OnRootMismatch';
    await giveGroup(record.target, { gid: fsGroup, onRootMismatch, signal });
    return fsGroup;
  }
}

type Token = ServiceAccountToken & { readonly audience: string };

interface Given {
  readonly driver: CsiDriverClient;
  readonly object: CSIDriver | undefined;
  readonly attached: Readonly<Record<string, string>>;
  readonly record: CsiRecord;
}

/** `at`: where the driver finds the volume to enlarge; `now`: the record before this mount. */
interface Growth {
  readonly at: string;
  readonly now: CsiRecord;
  readonly capability: ReturnType<typeof renderCapability>;
}

function placeOf(driver: CsiDriverClient, staging: string | undefined): string {
  return staging === undefined ? '' : driver.place(staging);
}

/** In words of kubernetes pkg/volume/csi (supportsVolumeLifecycleMode). */
function checkLifecycle({ driver, isInline }: Wish, object: CSIDriver | undefined): void {
  const mode = isInline ? 'Ephemeral' : 'Persistent';
  const { volumeLifecycleModes } = object?.spec ?? {};
  if (object === undefined) {
    if (isInline)
      throw new PodwrightError(
        'E_INVALID',
        `volume mode "Ephemeral" not supported by driver ${driver} (no CSIDriver object)`,
      );
    return;
  }
  const modes = volumeLifecycleModes ?? ['Persistent'];
  if (modes.includes(mode)) return;
  throw new PodwrightError(
    'E_INVALID',
    `volume mode "${mode}" not supported by driver ${driver} (only supports ["${modes.join('" "')}"])`,
  );
}
