/**
 * Who of a node's containers has which devices. A device is taken before its plugin is asked, and what the plugin answered is on disk
 * before a container starts with it:
 *
 *     choose (pure) ─▶ taken ─▶ Allocate ─▶ checkpoint ─▶ admitted        anything wrong: given back, the pod is refused
 *
 * A container that starts again has what is recorded, whatever its plugin says now.
 */
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { DevicePluginOptions } from '#proto/deviceplugin/api.ts';
import { readCheckpoint, writeCheckpoint, type DeviceCheckpoint } from './checkpoint.ts';
import type { HintDraft } from '#agent/kubelet/assign/assignment.ts';
import { chooseDevices, type DeviceChoices } from './choose-devices.ts';
import { choicesFor, draftDevices, type DraftInput, type Held, type Reservation } from './device-draft.ts';
import {
  amountsOf,
  goneGraceMs,
  type Device,
  type DeviceAllocation,
  type DeviceAmount,
  type DeviceResource,
} from './device.ts';
import { connectDevicePlugin, type DevicePluginConnection } from './device-plugin.ts';
import { timed, type DeviceCounts } from './device-counts.ts';
import { planRequests, type DeviceRequest } from './device-requests.ts';

export interface DeviceManagerOptions {
  /** File of what containers have. */
  readonly checkpoint: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told when amounts or the health of devices changed. */
  readonly onChange: () => void;
  readonly connect?: typeof connectDevicePlugin;
  readonly counts?: DeviceCounts | undefined;
}

export type DeviceVerdict =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly message: string }
  /** A plugin that served before the agent started is not back yet. */
  | { readonly kind: 'notYet'; readonly retryMs: number };

/** Of whom devices are not taken away. */
export type IsActive = (podUid: string) => boolean;

/** How long a plugin has after a start of the agent, until pods that want its devices are refused, ms. */
export const comeBackMs = 60_000;
const retryMs = 1000;
/** Characters of an error of a plugin in a pod's status. */
const messageMax = 1024;

/** Reads what containers have. A file that is damaged refuses pods that want devices, and no others. */
export async function createDeviceManager(options: DeviceManagerOptions): Promise<DeviceManager> {
  try {
    return new DeviceManager(options, await readCheckpoint(options.checkpoint), undefined);
  } catch (error) {
    options.logger.error({ error: describeError(error) }, 'devices are not given');
    return new DeviceManager(options, { resources: {}, allocations: [] }, describeError(error));
  }
}

interface Resource extends DeviceResource {
  readonly plugin: DevicePluginConnection | undefined;
  /** Whether a plugin served it since the agent started. */
  readonly isKnown: boolean;
  readonly goneTimer: Disposable | undefined;
}

export interface PluginPlace {
  readonly resource: string;
  readonly endpoint: string;
  /** What it said of itself; undefined: it is asked. */
  readonly options?: DevicePluginOptions | undefined;
}

export class DeviceManager implements AsyncDisposable {
  readonly #options: DeviceManagerOptions;
  readonly #problem: string | undefined;
  readonly #resources = new Map<string, Resource>();
  #allocations: readonly DeviceAllocation[];
  /** Chosen, and not given yet: by resource. */
  readonly #pending = new Map<string, Set<string>>();
  /** Set aside with what else a pod gets that is to lie together: until its plugins were asked. */
  #reserved: readonly Reservation[] = [];
  readonly #startedMs: number;
  #isActive: IsActive | undefined;
  #writing: Promise<void> = Promise.resolve();
  #connecting: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DeviceManagerOptions, known: DeviceCheckpoint, problem: string | undefined) {
    this.#options = options;
    this.#problem = problem;
    this.#allocations = known.allocations;
    this.#startedMs = options.clock.monotonic();
    for (const [name, ids] of Object.entries(known.resources)) {
      const devices = new Map(ids.map((id) => [id, { id, isHealthy: false, numaNodes: [] }]));
      const goneTimer = options.clock.after(goneGraceMs, options.onChange);
      const goneSinceMs = this.#startedMs;
      this.#resources.set(name, { devices, goneSinceMs, plugin: undefined, isKnown: false, goneTimer });
    }
  }

  /** From now on what pods that are no longer active have is given to others. */
  collectBy(isActive: IsActive): void {
    this.#isActive = isActive;
  }

  resources(): ReadonlyMap<string, DeviceResource> {
    return this.#resources;
  }

  /** What the node's status says. */
  amounts(): ReadonlyMap<string, DeviceAmount> {
    return amountsOf(this.#resources, this.#options.clock.monotonic());
  }

  allocations(): readonly DeviceAllocation[] {
    return this.#allocations;
  }

  ofContainer(podUid: string, container: string): readonly DeviceAllocation[] {
    return this.#allocations.filter((each) => each.podUid === podUid && each.container === container);
  }

  /** Takes a plugin on, in the place of the one that serves the resource; one after the other. */
  connect(place: PluginPlace): Promise<void> {
    const connected = this.#connecting.then(() => this.#connect(place));
    this.#connecting = connected.catch(() => undefined);
    return connected;
  }

  async #connect({ resource, endpoint, options }: PluginPlace): Promise<void> {
    await this.#resources.get(resource)?.plugin?.[Symbol.asyncDispose]();
    const { clock, logger, counts, connect = connectDevicePlugin } = this.#options;
    counts?.count(counts.registrations, resource);
    if (this.#isClosed) return;
    const plugin: DevicePluginConnection = await connect({
      endpoint,
      options,
      clock,
      onDevices: (devices) => this.#listed(resource, plugin, devices),
      onGone: (error) => {
        if (this.#resources.get(resource)?.plugin !== plugin) return;
        logger.warn({ resource, endpoint, error: describeError(error) }, 'device plugin gone');
        this.#gone(resource);
        void plugin[Symbol.asyncDispose]();
      },
    });
    const before = this.#resources.get(resource);
    before?.goneTimer?.[Symbol.dispose]();
    const devices: ReadonlyMap<string, Device> = before?.devices ?? new Map();
    // Until its first list nothing of it is given.
    const goneSinceMs = before?.goneSinceMs ?? clock.monotonic();
    this.#resources.set(resource, { devices, goneSinceMs, plugin, isKnown: false, goneTimer: undefined });
    logger.info({ resource, endpoint }, 'device plugin connected');
  }

  /** The plugin of a resource has gone. */
  async disconnect(resource: string): Promise<void> {
    const plugin = this.#resources.get(resource)?.plugin;
    if (plugin === undefined) return;
    this.#gone(resource);
    await plugin[Symbol.asyncDispose]();
  }

  #listed(resource: string, plugin: DevicePluginConnection, devices: ReadonlyMap<string, Device>): void {
    const known = this.#resources.get(resource);
    if (known?.plugin !== plugin) return;
    const isSame = [...devices.keys()].join() === [...known.devices.keys()].join();
    this.#resources.set(resource, { ...known, devices, goneSinceMs: undefined, isKnown: true });
    if (!isSame)
      this.#save().catch((error: unknown) =>
        this.#options.logger.warn({ error: describeError(error) }, 'devices not written down'),
      );
    this.#options.onChange();
  }

  #gone(resource: string): void {
    const { clock, onChange } = this.#options;
    const known = this.#resources.get(resource);
    if (known === undefined) return;
    const goneTimer = clock.after(goneGraceMs, onChange);
    this.#resources.set(resource, {
      ...known,
      plugin: undefined,
      goneSinceMs: clock.monotonic(),
      goneTimer,
    });
    onChange();
  }

  /** How far it is with the devices that the pod asks for and does not have; undefined: it has all. */
  lacks(pod: Pod): 'devices' | 'plugins' | undefined {
    const lacking = this.#lackingOf(pod);
    if (lacking.length === 0) return undefined;
    return lacking.some(({ resource }) => this.#isAwaited(resource)) ? 'plugins' : 'devices';
  }

  #lackingOf(pod: Pod): readonly DeviceRequest[] {
    const uid = pod.metadata?.uid ?? '';
    return this.#requestsOf(pod).filter((request) => !this.#has(uid, request));
  }

  #requestsOf(pod: Pod): readonly DeviceRequest[] {
    return planRequests(pod, (resource) => this.#resources.has(resource));
  }

  /** What the pod could have, for who decides what of a node lies together; what it keeps is set aside until the pod is admitted. */
  begin(pod: Pod): HintDraft {
    this.#collect();
    const podUid = pod.metadata?.uid ?? '';
    this.#reserved = this.#reserved.filter((each) => each.podUid !== podUid);
    return draftDevices({
      ...this.#inputFor(podUid),
      requests: this.#requestsOf(pod),
      keep: (reserved) => (this.#reserved = [...this.#reserved, ...reserved]),
    });
  }

  #inputFor(podUid: string): Pick<DraftInput, 'podUid' | 'held' | 'devices' | 'pending'> {
    const held: readonly Held[] = [...this.#allocations, ...this.#reserved];
    return {
      ...{ podUid, held },
      devices: (resource) => (this.#isAwaited(resource) ? undefined : this.#resources.get(resource)?.devices),
      pending: (resource) => this.#pending.get(resource) ?? new Set(),
    };
  }

  /** Whether the pod has, or gets, the devices that its containers ask for. Safe to repeat. */
  async admit(pod: Pod, signal: AbortSignal): Promise<DeviceVerdict> {
    const uid = pod.metadata?.uid ?? '';
    const lacking = this.#lackingOf(pod);
    if (lacking.length === 0) return { kind: 'admitted' };
    if (this.#problem !== undefined) return refusedFor(this.#problem);
    if (lacking.some(({ resource }) => this.#isAwaited(resource))) return { kind: 'notYet', retryMs };
    const before = this.#allocations.filter((each) => each.podUid === uid);
    try {
      for (const request of lacking) await this.#give(uid, request, signal);
      await this.#save();
      return { kind: 'admitted' };
    } catch (error) {
      const given = this.#allocations.filter((each) => each.podUid !== uid);
      this.#allocations = [...given, ...before];
      signal.throwIfAborted();
      this.#reserved = this.#reserved.filter((each) => each.podUid !== uid);
      return refusedFor(reasonOf(error));
    }
  }

  #has(uid: string, { container, resource }: DeviceRequest): boolean {
    return this.ofContainer(uid, container).some((each) => each.resource === resource);
  }

  /** Whether its plugin may yet come back from a restart of the node or the agent. */
  #isAwaited(resource: string): boolean {
    const known = this.#resources.get(resource);
    const isEarly = this.#options.clock.monotonic() - this.#startedMs < comeBackMs;
    return known !== undefined && !known.isKnown && isEarly;
  }

  async #give(uid: string, request: DeviceRequest, signal: AbortSignal): Promise<void> {
    const { container, resource, count, reuses } = request;
    const known = this.#resources.get(resource);
    const plugin = known?.goneSinceMs === undefined ? known?.plugin : undefined;
    const { ids, pending } = await this.#choose(uid, request, signal);
    try {
      if (plugin === undefined) throw new PodwrightError('E_CONNECTION', 'its plugin has gone');
      const { clock, counts } = this.#options;
      const answer = await timed(
        () => plugin.allocate(ids, signal),
        () => clock.monotonic(),
        (seconds) => counts?.observe(counts.allocations, resource, seconds),
      );
      this.#allocations = [...this.#allocations, { podUid: uid, container, resource, ids, answer }];
      this.#reserved = this.#reserved.filter((each) => each !== this.#reservationOf(uid, request));
    } catch (error) {
      const why = `plugin of ${resource}: ${reasonOf(error)}`;
      throw new PodwrightError('E_CONNECTION', why.slice(0, messageMax), { cause: error });
    } finally {
      for (const id of ids) pending.delete(id);
    }
    const { logger } = this.#options;
    logger.info({ uid, container, resource, count, reuses: reuses.length }, 'devices given');
  }

  /** What is chosen is taken in the same turn: another pod may come between a question to the plugin and its answer. */
  async #choose(
    uid: string,
    request: DeviceRequest,
    signal: AbortSignal,
  ): Promise<{ readonly ids: readonly string[]; readonly pending: Set<string> }> {
    this.#collect();
    const { count, resource } = request;
    const preferred = await this.#preferred(request, this.#choicesNow(uid, request), signal);
    const choices = this.#choicesNow(uid, request);
    const ids = chooseDevices(choices, { count, devices: this.#resources.get(resource)?.devices, preferred });
    const pending = this.#pending.get(resource) ?? new Set();
    this.#pending.set(resource, pending);
    for (const id of ids) pending.add(id);
    return { ids, pending };
  }

  #choicesNow(uid: string, request: DeviceRequest): DeviceChoices {
    return choicesFor(this.#inputFor(uid), request, this.#reservationOf(uid, request)?.near);
  }

  #reservationOf(uid: string, { container, resource }: DeviceRequest): Reservation | undefined {
    return this.#reserved.find(
      (each) => each.podUid === uid && each.container === container && each.resource === resource,
    );
  }

  /** A plugin that does not answer has no preference. */
  async #preferred(
    { resource, count }: DeviceRequest,
    { certain, free }: DeviceChoices,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    if (certain.length >= count) return [];
    const wish = { available: [...certain, ...free], certain, count };
    try {
      return (await this.#resources.get(resource)?.plugin?.prefer(wish, signal)) ?? [];
    } catch (error) {
      signal.throwIfAborted();
      this.#options.logger.warn({ resource, error: describeError(error) }, 'device plugin has no preference');
      return [];
    }
  }

  /** Tells the plugins of a container's devices that it starts. @throws what they say */
  async preStart(podUid: string, container: string, signal: AbortSignal): Promise<void> {
    for (const { resource, ids } of this.ofContainer(podUid, container)) {
      const known = this.#resources.get(resource);
      // Of a plugin that has gone the container has what is recorded.
      if (known?.goneSinceMs === undefined) await known?.plugin?.preStart(ids, signal);
    }
  }

  #collect(): void {
    const isActive = this.#isActive;
    if (isActive === undefined) return; // Not all pods are known yet.
    this.#allocations = this.#allocations.filter(({ podUid }) => isActive(podUid));
    this.#reserved = this.#reserved.filter(({ podUid }) => isActive(podUid));
  }

  /** One write after the other, each of what is then. */
  #save(): Promise<void> {
    const write = async (): Promise<void> => {
      if (this.#problem !== undefined) return;
      const resources = Object.fromEntries(
        [...this.#resources].map(([name, { devices }]) => [name, [...devices.keys()]]),
      );
      await writeCheckpoint(this.#options.checkpoint, { resources, allocations: this.#allocations });
    };
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#connecting;
    for (const { plugin, goneTimer } of this.#resources.values()) {
      goneTimer?.[Symbol.dispose]();
      await plugin?.[Symbol.asyncDispose]();
    }
    await this.#writing;
  }
}

/** In the kubelet's words (admission failure handlers of the topology manager). */
function refusedFor(reason: string): DeviceVerdict {
  return { kind: 'refused', message: `Allocate failed due to ${reason}, which is unexpected` };
}

function reasonOf(error: unknown): string {
  return describeError(error).slice(0, messageMax);
}
