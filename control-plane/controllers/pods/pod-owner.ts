import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Pod, PodTemplateSpec } from '#api/generated/objects.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { labelSelectorFromMap, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { pods, type KindRef } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { describeRefusal, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller, type Source } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { IndexFunction } from '#client/indexes.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from './by-controller.ts';
import { orphansOf, settleClaims, type Claimer } from './claim.ts';
import { createDeletedPods } from './deleted-pods.ts';
import { byNamespace, ownedSource } from './owner-keys.ts';
import { OwnedPods } from './owned-pods.ts';
import { slowStart } from './slow-start.ts';

/** What is done to a pod for its owner. */
export type PodDeed = 'create' | 'delete';

export interface PodOwnerOptions<O> {
  readonly kind: KindRef<O>;
  readonly name: string;
  /** Whom an owner may adopt. */
  readonly selectorOf: (owner: O) => LabelMatcher;
  /** What its pods are counted by, if they are. */
  readonly countsBy?: (owner: O) => { readonly template: PodTemplateSpec; readonly minReadySeconds: number };
  /** More indexes of pods than that by controller. */
  readonly podIndexes?: Readonly<Record<string, IndexFunction<Pod>>>;
  /** What else decides who is claimed, and is done to them. */
  readonly claims?: Pick<Claimer<O, Pod>, 'isMember' | 'finalizer'>;
  /** An event's message, where it is not that of pkg/controller's RealPodControl. `refusal`: why it was not done. */
  readonly say?: (deed: PodDeed, pod: Pod, owner: O, refusal?: string) => string;
}

/**
 * What the controllers whose objects own pods do alike: take the pods that are theirs, delete and create some, each told by an event,
 * write the status, look again when a pod becomes available. What is due they decide themselves.
 */
export class PodOwner<O extends KubeObject> {
  readonly owners: WritableInformer<O>;
  /** With the index `controller`. */
  readonly pods: WritableInformer<Pod>;
  readonly recorder: EventRecorder;
  readonly #context: ControllerContext;
  readonly #options: PodOwnerOptions<O>;
  readonly #deleted = createDeletedPods();
  /** By the key of the owner, and by its uid. */
  readonly #owned = new Map<string, Owned>();
  readonly #ownedByUid = new Map<string, Owned>();

  constructor(context: ControllerContext, options: PodOwnerOptions<O>) {
    this.#context = context;
    this.#options = options;
    this.owners = context.informers.for(options.kind, { indexes: { namespace: byNamespace } });
    this.pods = context.informers.for(pods, { indexes: { controller: byController, ...options.podIndexes } });
    this.recorder = context.recorder(options.name);
  }

  /** The control loop. What is kept of an owner that went is forgotten. `before`: whether it is there or not. */
  run(
    reconcile: (owner: O, key: string) => Promise<KeyOutcome | void>,
    sources: readonly Source[] = [],
    before?: (owner: O | undefined, key: string) => Promise<void>,
  ): Controller {
    const { clock, logger, syncsMax } = this.#context;
    return runController({
      name: this.#options.name,
      clock,
      logger,
      concurrencyMax: syncsMax,
      sources: [
        // First: whoever is told of a pod finds it counted.
        source(this.pods, (change) => this.#note(change)),
        ownKey(this.owners),
        ownedSource(this.#options.kind, this.owners, this.pods, this.#options.selectorOf),
        ...sources,
      ],
      reconcile: async (key) => {
        const owner = this.owners.get(key);
        await before?.(owner, key);
        if (owner !== undefined) return reconcile(owner, key);
        this.#deleted.forget(key);
        this.#forget(key);
      },
    });
  }

  /** The pods of the owner, after adopting and releasing. */
  async claim(owner: O): Promise<OwnedPods> {
    const owned = this.ownedBy(owner);
    if (owner.metadata?.deletionTimestamp !== undefined) return owned;
    const { client } = this.#context;
    const { kind, claims, selectorOf } = this.#options;
    const selector = selectorOf(owner);
    const adopt = orphansOf(this.pods, owner, selector).filter(
      (pod) => pod.metadata?.deletionTimestamp === undefined && this.#isSelected(owner, selector, pod),
    );
    const release = owned.strays();
    if (adopt.length === 0 && release.length === 0) return owned;
    const claimer = { ...claims, client, ownerKind: kind, kind: pods, informer: this.pods };
    await settleClaims(claimer, owner, { adopt, release });
    return owned;
  }

  /** Those whose deletion was accepted and that still look as they were, by uid. */
  deletedAmong(key: string, owned: OwnedPods): ReadonlyMap<string, Pod> {
    return this.#deleted.still(key, (podKey) => owned.get(podKey));
  }

  /** @throws what the API refuses it with */
  async create(owner: O, pod: Pod): Promise<Pod> {
    try {
      const created = await this.#context.client.create(pods, pod);
      this.pods.observe(created); // So that the next pass counts it.
      this.#tell(owner, 'create', created);
      return created;
    } catch (error) {
      if (!isNamespaceTerminating(error)) this.#tell(owner, 'create', pod, error);
      throw error;
    }
  }

  /** As many as `podOf` gives pods for, by slow start. The first refusal, but for that of a namespace that ends: nobody wants its pods. */
  async createAll(owner: O, count: number, podOf: (nth: number) => Pod | undefined): Promise<unknown> {
    const { error } = await slowStart(count, async (nth) => {
      const pod = podOf(nth);
      if (pod !== undefined) await this.create(owner, pod);
    });
    return isNamespaceTerminating(error) ? undefined : error;
  }

  /** @throws what the API refuses it with */
  async delete(owner: O, key: string, pod: Pod): Promise<void> {
    try {
      await this.#deleted.delete(this.#context.client, key, pod);
      this.#tell(owner, 'delete', pod);
    } catch (error) {
      this.#tell(owner, 'delete', pod, error);
      throw error;
    }
  }

  /** Writes what `statusOf` makes of the owner and its pods as they are known now, where it differs. */
  async writeStatus(key: string, statusOf: (owner: O, owned: OwnedPods) => O): Promise<void> {
    const owner = this.owners.get(key);
    if (owner === undefined) return;
    const next = statusOf(owner, this.ownedBy(owner));
    if (equalJson(next, owner)) return;
    try {
      const { client } = this.#context;
      this.owners.observe(await client.update(this.#options.kind, next, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Those that are known now, claimed or not. They are gone through when the owner, or what it asks of them, is another. */
  ownedBy(owner: O): OwnedPods {
    const key = objectKey(owner);
    const { uid = '', generation } = owner.metadata ?? {};
    const known = this.#owned.get(key);
    if (known !== undefined && known.uid === uid && known.generation === generation) return known.pods;
    this.#forget(key);
    const { selectorOf, countsBy } = this.#options;
    const selector = selectorOf(owner);
    const { template = {}, minReadySeconds = 0 } = countsBy?.(owner) ?? {};
    const owned = new OwnedPods({
      isSelected: (pod) => this.#isSelected(owner, selector, pod),
      templateLabels: labelSelectorFromMap(template.metadata?.labels),
      minReadySeconds,
    });
    for (const pod of this.pods.byIndex('controller', uid)) owned.put(objectKey(pod), pod);
    const entry: Owned = { uid, generation, pods: owned };
    this.#owned.set(key, entry);
    this.#ownedByUid.set(uid, entry);
    return owned;
  }

  /** `nowMs`: that of the status, as what it counts as not yet available must be waited for. */
  againWhenAvailable(owned: OwnedPods, nowMs: number): KeyOutcome | undefined {
    const waitMs = owned.nextAvailableMs(nowMs);
    return waitMs === undefined ? undefined : { kind: 'again', afterMs: waitMs };
  }

  #isSelected(owner: O, selector: LabelMatcher, pod: Pod): boolean {
    const isMember = this.#options.claims?.isMember;
    return matchesLabels(selector, pod.metadata?.labels) && isMember?.(owner, pod) !== false;
  }

  /** Keeps what is counted up to date; nobody is to be looked at for that. */
  #note({ key, old, current }: Change<Pod>): readonly string[] {
    const before = old === undefined ? undefined : controllerRef(old)?.uid;
    const now = current === undefined ? undefined : controllerRef(current)?.uid;
    if (before !== undefined && before !== now) this.#ownedByUid.get(before)?.pods.put(key, undefined);
    if (now !== undefined) this.#ownedByUid.get(now)?.pods.put(key, current);
    return [];
  }

  #forget(key: string): void {
    const known = this.#owned.get(key);
    if (known === undefined) return;
    this.#owned.delete(key);
    this.#ownedByUid.delete(known.uid);
  }

  #tell(object: O, deed: PodDeed, pod: Pod, error?: unknown): void {
    const { kind, say = sayPlainly } = this.#options;
    const refusal = error === undefined ? undefined : describeRefusal(error);
    const reason = `${refusal === undefined ? 'Successful' : 'Failed'}${deed === 'create' ? 'Create' : 'Delete'}`;
    const type = refusal === undefined ? 'Normal' : 'Warning';
    this.recorder.record({ kind, object }, type, reason, say(deed, pod, object, refusal));
  }
}

/** What is kept of an owner. */
interface Owned {
  readonly uid: string;
  readonly generation: number | undefined;
  readonly pods: OwnedPods;
}

/** The messages of RealPodControl. */
function sayPlainly(deed: PodDeed, pod: Pod, _owner: unknown, refusal?: string): string {
  if (refusal !== undefined) return `Error ${deed === 'create' ? 'creating' : 'deleting'}: ${refusal}`;
  return `${deed === 'create' ? 'Created' : 'Deleted'} pod: ${pod.metadata?.name ?? ''}`;
}
