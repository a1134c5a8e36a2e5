/** What the runtime has of this node, as it was last listed. Listings follow one another, so that an older one is never the last word. */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#base/clock.ts';
import type { Container, ContainerStatus, PodSandbox, Services } from '#proto/cri/api.ts';
import type { UnixClient } from '#proto/unix-client.ts';
import type { HandlerFeatures, PodObservation } from '#agent/runtime/runtime.ts';
import { readTerminationMessage } from '#agent/runtime/termination-message.ts';
import { writableLayerOf } from './cri-usage.ts';
import { nodeLabel, podUidLabel, readContainerMark } from './marks.ts';
import { containerOf, inOrder, podOf, sandboxOf, type KnownContainer, type KnownSandbox } from './observe.ts';
import { isStatus } from './rpc-error.ts';

export interface CachePorts {
  readonly client: UnixClient;
  readonly service: Services['runtime.v1.RuntimeService'];
  readonly nodeName: string;
  readonly runtimeName: string;
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  readonly clock: Clock;
  /** Told the uid of each pod of which something else is observed now. */
  readonly changed: (uid: string) => void;
}

/** Status calls under way at once. */
const callsAtOnce = 16;

interface Listing {
  readonly uids: Set<string>;
  isWhole: boolean;
  readonly done: PromiseWithResolvers<void>;
}

export class CriCache {
  readonly #ports: CachePorts;
  /** By CRI's ids. */
  readonly #sandboxes = new Map<string, KnownSandbox>();
  readonly #containers = new Map<string, KnownContainer>();
  readonly #observed = new Map<string, PodObservation>();
  readonly #layers = new Map<string, string>();
  /** Sandboxes that this agent has stopped: CRI calls them as it calls those that died. */
  readonly #stopped = new Set<string>();
  /** Ids, the kubelet's, of containers that are being started. */
  readonly starting: Set<string> = new Set();
  #next: Listing | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(ports: CachePorts) {
    this.#ports = ports;
  }

  /** As it is now: of a pod, or of all. @throws as UnixClient.call */
  refresh(uid?: string): Promise<void> {
    this.#next ??= this.#plan();
    if (uid === undefined) this.#next.isWhole = true;
    else this.#next.uids.add(uid);
    return this.#next.done.promise;
  }

  /** Who asks while a listing is under way waits for the one after it. */
  #plan(): Listing {
    const listing: Listing = { uids: new Set(), isWhole: false, done: Promise.withResolvers() };
    listing.done.promise.catch(() => undefined); // Told to those who wait.
    this.#turn = this.#turn.then(async () => {
      this.#next = undefined;
      const [only] = listing.uids;
      try {
        await this.#list(listing.isWhole || listing.uids.size > 1 ? undefined : only);
        listing.done.resolve();
      } catch (error) {
        listing.done.reject(error);
      }
    });
    return listing;
  }

  async #list(uid: string | undefined): Promise<void> {
    const { client, service, nodeName } = this.#ports;
    const label_selector = { [nodeLabel]: nodeName, ...(uid === undefined ? {} : { [podUidLabel]: uid }) };
    const [{ items }, { containers }] = await Promise.all([
      client.call(service.ListPodSandbox, { filter: { label_selector } }),
      client.call(service.ListContainers, { filter: { label_selector } }),
    ]);
    const sandboxes = await inBatches(items, (each) => this.#lookAtSandbox(each));
    const seen = await inBatches(containers, (each) => this.#lookAtContainer(each));
    const isTold = (each: { readonly uid: string }): boolean => uid === undefined || each.uid === uid;
    replace(
      this.#sandboxes,
      isTold,
      sandboxes.map((each) => [each.id, each]),
    );
    replace(
      this.#containers,
      isTold,
      seen.map((each) => [each.criId, each]),
    );
    this.#forget();
    this.#tell(uid);
  }

  async #lookAtSandbox(listed: PodSandbox): Promise<KnownSandbox | undefined> {
    const known = this.#sandboxes.get(listed.id);
    const isReady = listed.state === 'SANDBOX_READY';
    if (known !== undefined && known.isReady === isReady) return known;
    if (!isReady && known !== undefined) return { ...known, isReady };
    const { client, service } = this.#ports;
    const status = await orGone(
      client.call(service.PodSandboxStatus, { pod_sandbox_id: listed.id, verbose: true }),
    );
    return sandboxOf(listed, status);
  }

  async #lookAtContainer(listed: Container): Promise<KnownContainer | undefined> {
    const known = this.#containers.get(listed.id);
    if (known?.criState === listed.state) return known;
    const { client, service } = this.#ports;
    const answer = await orGone(
      client.call(service.ContainerStatus, { container_id: listed.id, verbose: true }),
    );
    if (answer === undefined) return undefined;
    const message = answer.status === null ? '' : await this.#messageOf(listed, answer.status);
    const container = containerOf(listed, answer, message);
    if (container?.state.state === 'running') {
      const layer = await writableLayerOf(container.state.pid);
      if (layer !== undefined) this.#layers.set(container.id, layer);
    }
    return container;
  }

  async #messageOf(
    { annotations }: Container,
    { state, exit_code: exitCode }: ContainerStatus,
  ): Promise<string> {
    if (state !== 'CONTAINER_EXITED') return '';
    const mark = readContainerMark(annotations);
    return readTerminationMessage(mark?.termination, { exitCode, logPath: mark?.logPath }, this.#ports.clock);
  }

  #forget(): void {
    const ids = new Set([...this.#containers.values()].map(({ id }) => id));
    for (const id of this.#layers.keys()) if (!ids.has(id)) this.#layers.delete(id);
    for (const id of this.#stopped) if (!this.#sandboxes.has(id)) this.#stopped.delete(id);
  }

  #tell(uid: string | undefined): void {
    const uids = uid === undefined ? new Set([...this.#observed.keys(), ...this.uids()]) : [uid];
    for (const each of uids) this.#look(each);
  }

  #look(uid: string): void {
    const { runtimeName, handlers, changed } = this.#ports;
    const isStopped = (id: string): boolean => this.#stopped.has(id);
    const before = this.#observed.get(uid);
    const now = podOf(this.sandboxes(uid), this.containers(uid), { runtimeName, isStopped, handlers });
    if (isDeepStrictEqual(before, now)) return;
    if (now === undefined) this.#observed.delete(uid);
    else this.#observed.set(uid, now);
    changed(uid);
  }

  /** It has ended, with its network. */
  stopped(sandboxId: string, uid: string): void {
    this.#stopped.add(sandboxId);
    this.#look(uid);
  }

  isStopped({ id, isReady }: KnownSandbox): boolean {
    return !isReady && this.#stopped.has(id);
  }

  observe(uid: string): PodObservation | undefined {
    return this.#observed.get(uid);
  }

  observeAll(): readonly PodObservation[] {
    return [...this.#observed.values()];
  }

  uids(): ReadonlySet<string> {
    return new Set([...this.#sandboxes.values()].map(({ uid }) => uid));
  }

  /** Oldest first. */
  sandboxes(uid: string): readonly KnownSandbox[] {
    return inOrder([...this.#sandboxes.values()].filter((each) => each.uid === uid));
  }

  containers(uid: string): readonly KnownContainer[] {
    return [...this.#containers.values()].filter((each) => each.uid === uid);
  }

  layer(id: string): string | undefined {
    return this.#layers.get(id);
  }

  /**
   * What a call that nobody heard the end of left: containers that were created and nobody starts, and sandboxes which are not their
   * pod's and hold no containers.
   */
  leftovers(): {
    readonly containers: readonly KnownContainer[];
    readonly sandboxes: readonly KnownSandbox[];
  } {
    const all = [...this.#containers.values()];
    const used = new Set(all.map(({ sandboxId }) => sandboxId));
    return {
      containers: all.filter(
        ({ id, criState }) => criState === 'CONTAINER_CREATED' && !this.starting.has(id),
      ),
      sandboxes: [...this.uids()].flatMap((uid) =>
        this.sandboxes(uid)
          .slice(0, -1)
          .filter(({ id }) => !used.has(id)),
      ),
    };
  }
}

/** Those for which `isTold` holds become these. */
function replace<T>(
  map: Map<string, T>,
  isTold: (value: T) => boolean,
  now: readonly (readonly [string, T])[],
): void {
  const kept = new Map(now);
  for (const [key, value] of map) if (isTold(value) && !kept.has(key)) map.delete(key);
  for (const [key, value] of kept) map.set(key, value);
}

async function inBatches<T, R>(
  items: readonly T[],
  look: (item: T) => Promise<R | undefined>,
): Promise<readonly R[]> {
  const found: R[] = [];
  for (let at = 0; at < items.length; at += callsAtOnce) {
    const looked = await Promise.all(items.slice(at, at + callsAtOnce).map(look));
    found.push(...looked.filter((each) => each !== undefined));
  }
  return found;
}

/** What went between the list and the question is not there. */
async function orGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isStatus(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
