import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';
import { pods, type KindRef } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { describeRefusal, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, type Controller, type Source } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { IndexFunction } from '#client/indexes.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from './by-controller.ts';
import { claim, type Claimer } from './claim.ts';
import { createDeletedPods } from './deleted-pods.ts';
import { byNamespace, ownedSource } from './owner-keys.ts';
import { nextAvailableMs } from './pod-state.ts';
import { slowStart } from './slow-start.ts';

/** What is done to a pod for its owner. */
export type PodDeed = 'create' | 'delete';

export interface PodOwnerOptions<O> {
  readonly kind: KindRef<O>;
  readonly name: string;
  /** Whom an owner may adopt. */
  readonly selectorOf: (owner: O) => LabelMatcher;
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
    const { clock, logger } = this.#context;
    return runController({
      name: this.#options.name,
      clock,
      logger,
      sources: [
        ownKey(this.owners),
        ownedSource(this.#options.kind, this.owners, this.pods, this.#options.selectorOf),
        ...sources,
      ],
      reconcile: async (key) => {
        const owner = this.owners.get(key);
        await before?.(owner, key);
        if (owner !== undefined) return reconcile(owner, key);
        this.#deleted.forget(key);
      },
    });
  }

  /** The pods of the owner, after adopting and releasing. */
  claim(owner: O, selector: LabelMatcher): Promise<readonly Pod[]> {
    const { client } = this.#context;
    const { kind, claims } = this.#options;
    return claim({ ...claims, client, ownerKind: kind, kind: pods, informer: this.pods }, owner, selector);
  }

  /** Uids of those whose deletion was accepted and that still look as they were. */
  deletedAmong(key: string, owned: readonly Pod[]): ReadonlySet<string> {
    return this.#deleted.still(key, owned);
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
  async writeStatus(key: string, statusOf: (owner: O, owned: readonly Pod[]) => O): Promise<void> {
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

  /** Those that are known now, claimed or not. */
  ownedBy(owner: O): readonly Pod[] {
    return this.pods.byIndex('controller', owner.metadata?.uid ?? '');
  }

  /** `nowMs`: that of the status, as what it counts as not yet available must be waited for. */
  againWhenAvailable(
    owned: readonly Pod[],
    minReadySeconds: number | undefined,
    nowMs: number,
  ): KeyOutcome | undefined {
    const waitMs = nextAvailableMs(owned, minReadySeconds ?? 0, nowMs);
    return waitMs === undefined ? undefined : { kind: 'again', afterMs: waitMs };
  }

  #tell(object: O, deed: PodDeed, pod: Pod, error?: unknown): void {
    const { kind, say = sayPlainly } = this.#options;
    const refusal = error === undefined ? undefined : describeRefusal(error);
    const reason = `${refusal === undefined ? 'Successful' : 'Failed'}${deed === 'create' ? 'Create' : 'Delete'}`;
    const type = refusal === undefined ? 'Normal' : 'Warning';
    this.recorder.record({ kind, object }, type, reason, say(deed, pod, object, refusal));
  }
}

/** The messages of RealPodControl. */
function sayPlainly(deed: PodDeed, pod: Pod, _owner: unknown, refusal?: string): string {
  if (refusal !== undefined) return `Error ${deed === 'create' ? 'creating' : 'deleting'}: ${refusal}`;
  return `${deed === 'create' ? 'Created' : 'Deleted'} pod: ${pod.metadata?.name ?? ''}`;
}
