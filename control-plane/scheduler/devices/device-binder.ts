import { randomUUID } from 'node:crypto';
import { PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import { withRules } from '#api/device/device-taints.ts';
import { classesByResource } from '#api/device/extended-resources.ts';
import { isReservedFor } from '#api/device/pod-claims.ts';
import type {
  AllocationResult,
  DeviceClass,
  DeviceTaintRule,
  Node,
  Pod,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { deviceClasses, deviceTaintRules, resourceClaims, resourceSlices } from '#api/schema/kind-ref.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { bindClaim, deallocateClaim, removeConsumer } from './bind-claims.ts';
import { makeExtendedClaim, removeExtendedClaim, tellExtendedClaim } from './bind-extended.ts';
import { createClaimWaits, type ClaimWaits } from './claim-waits.ts';
import { podsOfExtendedClaim, type ExtendedClaim } from './extended-claims.ts';
import type { DeviceLookUp } from './look-up.ts';
import { awaitsClaims, deviceClaimsFor, planDevices, usesDevices } from './plan-claims.ts';
import { indexPools, type PoolIndex } from './pools.ts';
import { renderAllocation } from './render-allocation.ts';
import { DeviceLedger } from './taken-devices.ts';

/** What the scheduler knows and does about devices. */
export interface DeviceBinder {
  readonly look: DeviceLookUp;
  readonly claims: Informer<ResourceClaim>;
  readonly slices: Informer<ResourceSlice>;
  readonly classes: Informer<DeviceClass>;
  /** What people say of devices; undefined: it is not served. */
  readonly taintRules: Informer<DeviceTaintRule> | undefined;
  /** A claim changed: whoever waits for it looks. */
  note(key: string, claim: ResourceClaim | undefined): void;
  /** There are other slices, or rules of them. */
  noteSlices(): void;
  /** There are other classes. */
  noteClasses(): void;
  /** Whether a claim that was made for the pod is not seen yet. */
  isAwaiting(pod: Pod): boolean;
  /**
   * Takes for the pod what its claims need on the node, so that the next decision counts it; undefined where it has no claims. Undone by
   * disposing, and made so by `bind`. @throws {E_CONFLICT} when it cannot be had
   */
  reserve(pod: Pod, node: Node): ClaimReservation | undefined;
  /**
   * No node did for the pod: one of its claims that nobody uses, and whose devices are not where the pod could go, gives them back. One that was made
   * for its extended resources goes.
   * @throws what the API says
   */
  release(pod: Pod): Promise<void>;
}

export interface ClaimReservation extends Disposable {
  /** Writes what the claims are given, and for whom; waits until the devices are ready. @throws when that fails */
  bind(signal: AbortSignal, msMax?: number): Promise<void>;
  /** The pod was not bound after all: it uses the claims no more. @throws what the API says */
  unbind(): Promise<void>;
}

export interface DeviceBinderOptions {
  readonly informers: Informers;
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Whether DeviceTaintRules are served; default: no. */
  readonly hasTaintRules?: boolean | undefined;
}

/** A claim that is being given devices, as it will be. */
interface PendingClaim {
  readonly claim: ResourceClaim;
  readonly written: PromiseWithResolvers<void>;
}

export function createDeviceBinder(options: DeviceBinderOptions): DeviceBinder {
  return new Binder(options);
}

class Binder implements DeviceBinder {
  readonly claims: WritableInformer<ResourceClaim>;
  readonly slices: Informer<ResourceSlice>;
  readonly classes: Informer<DeviceClass>;
  readonly taintRules: Informer<DeviceTaintRule> | undefined;
  readonly look: DeviceLookUp;
  readonly #options: DeviceBinderOptions;
  readonly #ledger = new DeviceLedger();
  readonly #pending = new Map<string, PendingClaim>();
  readonly #waits: ClaimWaits;
  #index: PoolIndex | undefined;
  #byResource: ReadonlyMap<string, DeviceClass> | undefined;

  constructor(options: DeviceBinderOptions) {
    const { informers, clock } = options;
    this.#options = options;
    this.claims = informers.for(resourceClaims, {
      indexes: { extendedPod: podsOfExtendedClaim },
    });
    this.slices = informers.for(resourceSlices);
    this.classes = informers.for(deviceClasses);
    this.taintRules = options.hasTaintRules === true ? informers.for(deviceTaintRules) : undefined;
    this.#waits = createClaimWaits({ clock, claim: (key) => this.claims.get(key) });
    this.look = {
      claim: (key) => this.#pending.get(key)?.claim ?? this.claims.get(key),
      deviceClass: (name) => this.classes.get(name),
      classOf: (resource) => (this.#byResource ??= classesByResource(this.classes.list())).get(resource),
      extendedClaim: ({ metadata }) => this.claims.byIndex('extendedPod', metadata?.uid ?? '')[0],
      poolsFor: (node) => (this.#index ??= this.#pools()).for(node),
      taken: this.#ledger,
    };
  }

  note(key: string, claim: ResourceClaim | undefined): void {
    if (!this.#pending.has(key)) this.#ledger.set(key, claim);
    this.#waits.note(key);
  }

  noteSlices(): void {
    this.#index = undefined;
  }

  noteClasses(): void {
    this.#byResource = undefined;
  }

  isAwaiting(pod: Pod): boolean {
    return awaitsClaims(pod, this.look);
  }

  reserve(pod: Pod, node: Node): ClaimReservation | undefined {
    if (!usesDevices(pod, this.look)) return undefined;
    const claims = deviceClaimsFor(pod, this.look);
    const plan = typeof claims === 'string' ? claims : planDevices(claims, node, this.look);
    if (typeof claims === 'string' || typeof plan === 'string')
      throw new PodwrightError('E_CONFLICT', `reserve devices: ${String(plan)}`);
    const given = plan.map((picks) => {
      const nodeName = node.metadata?.name ?? '';
      const nowMs = this.#options.clock.now();
      return this.#hold(picks.claim, renderAllocation(picks, { nodeName, nowMs, newId: randomUUID }));
    });
    const extended = claims.extendedOn(node);
    const made: ResourceClaim[] = [];
    return {
      bind: async (signal, msMax) => {
        const keys = claims.allocated.map(objectKey);
        for (const [key, pending] of given) {
          const isExtended = extended !== undefined && key === objectKey(extended.claim);
          if (!isExtended) await this.#write(pod, key, pending);
          else made.push(await makeExtendedClaim(this.#options.client, extended.claim));
          keys.push(isExtended ? await this.#writeExtended(pod, extended, { key, pending, made }) : key);
        }
        for (const claim of claims.allocated) await this.#join(pod, claim);
        await this.#untilReady(keys, signal, msMax);
      },
      unbind: async () => {
        for (const claim of made) await removeExtendedClaim(this.#options.client, claim);
        await this.#leave(pod, [...claims.allocated, ...claims.waiting].map(objectKey));
      },
      [Symbol.dispose]: () => {
        for (const [key, pending] of given) this.#drop(key, pending);
      },
    };
  }

  async release(pod: Pod): Promise<void> {
    const stale = this.look.extendedClaim(pod);
    if (stale !== undefined) return removeExtendedClaim(this.#options.client, stale);
    const claims = deviceClaimsFor(pod, this.look);
    if (typeof claims === 'string') return;
    const unused = claims.allocated.find(
      (claim) =>
        claim.status?.allocation?.nodeSelector !== undefined &&
        (claim.status.reservedFor ?? []).every(({ uid }) => uid === pod.metadata?.uid) &&
        !this.#pending.has(objectKey(claim)),
    );
    if (unused === undefined) return;
    this.claims.observe(await deallocateClaim(this.#options.client, unused));
  }

  #pools(): PoolIndex {
    return indexPools(withRules(this.slices.list(), this.taintRules?.list() ?? []));
  }

  #hold(claim: ResourceClaim, allocation: AllocationResult): readonly [key: string, pending: PendingClaim] {
    const key = objectKey(claim);
    const pending: PendingClaim = {
      claim: { ...claim, status: { ...claim.status, allocation } },
      written: Promise.withResolvers(),
    };
    pending.written.promise.catch(() => {}); // Nobody may wait for it.
    this.#pending.set(key, pending);
    this.#ledger.set(key, pending.claim);
    return [key, pending];
  }

  #drop(key: string, pending: PendingClaim): void {
    if (this.#pending.get(key) !== pending) return;
    this.#pending.delete(key);
    this.#ledger.set(key, this.claims.get(key));
    pending.written.reject(new PodwrightError('E_CONFLICT', `claim ${key} was given no devices`));
  }

  async #write(pod: Pod, key: string, pending: PendingClaim): Promise<void> {
    const { metadata, status } = pending.claim;
    const claim = this.claims.get(key) ?? pending.claim;
    if (claim.metadata?.uid !== metadata?.uid || status?.allocation === undefined)
      throw new PodwrightError('E_CONFLICT', `claim ${key} is another by now`);
    const { allocation } = status;
    this.claims.observe(await bindClaim(this.#options.client, { claim, allocation, pod }));
    this.#pending.delete(key);
    this.#ledger.set(key, this.claims.get(key));
    pending.written.resolve();
  }

  /** The same of the claim that was made last; the pod is told of it. Its key. */
  async #writeExtended(
    pod: Pod,
    { mappings }: ExtendedClaim,
    {
      key,
      pending,
      made,
    }: { readonly key: string; readonly pending: PendingClaim; readonly made: ResourceClaim[] },
  ): Promise<string> {
    const { client } = this.#options;
    const { allocation } = pending.claim.status ?? {};
    const claim = made.at(-1);
    if (claim === undefined || allocation === undefined)
      throw new PodwrightError('E_INTERNAL', `claim ${key} was not made`);
    const written = await bindClaim(client, { claim, allocation, pod });
    this.claims.observe(written);
    this.#pending.delete(key);
    this.#ledger.set(key, undefined);
    this.#ledger.set(objectKey(written), written);
    pending.written.resolve();
    await tellExtendedClaim(client, pod, { claim: written, mappings });
    return objectKey(written);
  }

  /** A claim that has devices; one that is just being given some does when that is done. */
  async #join(pod: Pod, claim: ResourceClaim): Promise<void> {
    const key = objectKey(claim);
    await this.#pending.get(key)?.written.promise;
    const latest = this.claims.get(key) ?? claim;
    if (isReservedFor(latest, pod)) return;
    this.claims.observe(await bindClaim(this.#options.client, { claim: latest, pod }));
  }

  async #untilReady(keys: readonly string[], signal: AbortSignal, msMax?: number): Promise<void> {
    const failed = await this.#waits.untilReady(keys, signal, msMax);
    if (failed === undefined) return;
    for (const key of failed.keys) {
      const claim = this.claims.get(key);
      if (claim !== undefined) this.claims.observe(await deallocateClaim(this.#options.client, claim));
    }
    throw new PodwrightError('E_CONFLICT', `bind devices: ${failed.why}`);
  }

  async #leave(pod: Pod, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const claim = this.claims.get(key);
      if (claim === undefined || !isReservedFor(claim, pod)) continue;
      this.claims.observe(await removeConsumer(this.#options.client, claim, pod));
    }
  }
}
