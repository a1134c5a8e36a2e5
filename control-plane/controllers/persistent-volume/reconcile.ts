import { unreachable } from '#base/unreachable.ts';
import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { settleAll } from '#base/settle-all.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api/generated/objects.ts';
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
} from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { equalJson } from '#api/wire/json.ts';
import {
  claimClass,
  claimKeysOfPod,
  defaultClassOf,
  isFullyBound,
  offeredTo,
  provisionedByAnnotation,
  provisionerOf,
  selectedNodeAnnotation,
  volumeClass,
  nodeWithClaims,
} from '#api/volume/claim.ts';
import {
  localProvisioner,
  localVolumeFinalizer,
  localVolumeNode,
  volumesDirectoryOf,
} from '#api/volume/local-volumes.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { countTry } from '#control-plane/controllers/metrics/volume-counts.ts';
import { announced } from './plan-expansion.ts';
import { boundClaim, boundClaimStatus, planClaim, unboundClaimStatus } from './plan-claim.ts';
import { boundVolume, planVolume, unboundVolume } from './plan-volume.ts';
import { externalProvisioning, type ClaimStep, type VolumeStep } from './step.ts';

/**
 * Brings claims and volumes together, has volumes made where a class says how, and takes back those whose claim is gone. Claims and
 * volumes have their turns by themselves: what one's turn changes of the other is seen in that one's.
 */
export function runPersistentVolumes(
  context: ControllerContext,
  { expands = true }: { readonly expands?: boolean } = {},
): Controller {
  return new Binder(context, expands).run();
}

/** Each waits for three writes one after another: those of many share what a write waits for. */
const turnsAtOnceMax = 20;

const claimKey = (key: string): string => `claim/${key}`;
const volumeKey = (name: string): string => `volume/${name}`;

class Binder {
  readonly #context: ControllerContext;
  readonly #expands: boolean;
  readonly #recorder: EventRecorder;
  readonly #expander: EventRecorder;
  readonly #claims: WritableInformer<PersistentVolumeClaim>;
  readonly #volumes: WritableInformer<PersistentVolume>;
  readonly #classes: WritableInformer<StorageClass>;
  /** Volumes that are being bound, by name: the claim's uid. Several claims have their turns at once. */
  readonly #taken = new Map<string, string | undefined>();
  /** Of those, the ones whose own turn came meanwhile: they have it when that is done. */
  readonly #late = new Set<string>();
  #enqueue: (key: string) => void = () => undefined;

  constructor(context: ControllerContext, expands: boolean) {
    const { informers, recorder } = context;
    this.#context = context;
    this.#expands = expands;
    this.#recorder = recorder('persistentvolume-controller');
    this.#expander = recorder('volume_expand');
    this.#claims = informers.for(persistentVolumeClaims, {
      indexes: {
        unboundByClass: (claim) => (isFullyBound(claim) ? [] : [claimClass(claim) ?? noClass]),
        selectedNode: (claim) =>
          isFullyBound(claim) ? [] : [claim.metadata?.annotations?.[selectedNodeAnnotation] ?? ''],
        volumeName: ({ spec }) => [spec?.volumeName ?? ''],
      },
    });
    this.#volumes = informers.for(persistentVolumes, {
      indexes: {
        offered: (volume) => [offeredTo(volume)],
        madeBy: (volume) => [localVolumeNode(volume) ?? ''],
      },
    });
    this.#classes = informers.for(storageClasses);
  }

  run(): Controller {
    const { informers, clock, logger } = this.#context;
    const podInformer = informers.for(pods, { indexes: { claimKey: claimKeysOfPod, nodeWithClaims } });
    const controller = runController({
      name: 'persistentvolume-controller',
      clock,
      logger,
      concurrencyMax: turnsAtOnceMax,
      sources: [
        // A claim that is new, or gone, is news for the volume that names it.
        source(this.#claims, ({ key, current, old }) => [
          claimKey(key),
          ...this.#volumes
            .byIndex('offered', claimKey(key))
            .map(({ metadata }) => volumeKey(metadata?.name ?? '')),
          ...[old, current].flatMap((claim) => {
            const name = claim?.spec?.volumeName ?? '';
            return name === '' ? [] : [volumeKey(name)];
          }),
        ]),
        source(this.#volumes, ({ key, old, current }) => [
          volumeKey(key),
          ...this.#claims.byIndex('volumeName', key).map((claim) => claimKey(objectKey(claim))),
          ...[old, current].flatMap((volume) => {
            const to = volume === undefined ? '' : offeredTo(volume);
            return to.startsWith('claim/') ? [to] : [];
          }),
          ...(isNewOffer(old, current) ? this.#waiting(volumeClass(current ?? {})) : []),
        ]),
        source(this.#classes, ({ key }) => [...this.#waiting(key), ...this.#waiting('')]),
        // Pods that name their node themselves.
        source(podInformer, ({ old, current }) => {
          const isPlaced = (current?.spec?.nodeName ?? '') !== '' && (old?.spec?.nodeName ?? '') === '';
          return current !== undefined && isPlaced ? claimKeysOfPod(current).map(claimKey) : [];
        }),
        source(informers.for(nodes), ({ key, old, current }) =>
          old !== undefined &&
          current !== undefined &&
          volumesDirectoryOf(old) === volumesDirectoryOf(current)
            ? []
            : [
                ...this.#claims.byIndex('selectedNode', key).map((claim) => claimKey(objectKey(claim))),
                ...podInformer.byIndex('nodeWithClaims', key).flatMap(claimKeysOfPod).map(claimKey),
                ...this.#volumes
                  .byIndex('madeBy', key)
                  .map(({ metadata }) => volumeKey(metadata?.name ?? '')),
              ],
        ),
        onlySynced(podInformer),
      ],
      reconcile: (key) => {
        const at = key.indexOf('/');
        const name = key.slice(at + 1);
        if (key.startsWith('claim/')) return this.#syncClaim(name);
        if (!this.#taken.has(name)) return this.#syncVolume(name);
        this.#late.add(name);
        return Promise.resolve(done);
      },
    });
    this.#enqueue = (key) => controller.enqueue(key);
    return controller;
  }

  /** Keys of the claims that wait for a volume of the class, the oldest first; those that name none take what is of none. */
  #waiting(className: string): readonly string[] {
    const names = className === '' ? ['', noClass] : [className];
    const createdOf = ({ metadata }: PersistentVolumeClaim): string => metadata?.creationTimestamp ?? '';
    return names
      .flatMap((name) => this.#claims.byIndex('unboundByClass', name))
      .toSorted((a, b) => createdOf(a).localeCompare(createdOf(b)))
      .map((claim) => claimKey(objectKey(claim)));
  }

  async #syncClaim(key: string): Promise<KeyOutcome> {
    const namedNodes = await this.#nodesOf(key);
    const claim = this.#claims.get(key);
    if (claim === undefined) {
      this.#context.volumeCounts?.dropped(claimKey(key));
      return done;
    }
    const { informers } = this.#context;
    const name = claimClass(claim) ?? '';
    const steps = planClaim({
      claim,
      candidates: [
        ...this.#volumes.byIndex('offered', claimKey(key)),
        ...(isFullyBound(claim) ? [] : this.#volumes.byIndex('offered', `class/${name}`)),
      ],
      expands: this.#expands,
      named: this.#volumes.get(claim.spec?.volumeName ?? ''),
      storageClass: this.#classes.get(name),
      defaultClass: defaultClassOf(this.#classes.list()),
      nodes: namedNodes,
      consumers: informers.for(pods).byIndex('claimKey', key),
      isTaken: ({ metadata }) => {
        const uid = this.#taken.get(metadata?.name ?? '');
        return uid !== undefined && uid !== claim.metadata?.uid;
      },
    });
    for (const step of steps) await this.#doForClaim(step, key);
    return done;
  }

  /**
   * The nodes that the claim is about. One that the cache does not have, or not as one that makes volumes, is asked for: whoever chose it may
   * have seen it before, and a choice that is given back for nothing is perhaps nobody's to make again.
   */
  async #nodesOf(key: string): Promise<ReadonlyMap<string, Node>> {
    const { informers } = this.#context;
    const claim = this.#claims.get(key);
    if (claim === undefined || isFullyBound(claim)) return new Map();
    const chosen = claim.metadata?.annotations?.[selectedNodeAnnotation];
    const consumers = informers.for(pods).byIndex('claimKey', key);
    const names = new Set([chosen ?? '', ...consumers.map(({ spec }) => spec?.nodeName ?? '')]);
    names.delete('');
    const isLocal = this.#classes.get(claimClass(claim) ?? '')?.provisioner === localProvisioner;
    const found = await Promise.all(
      [...names].map(async (name) => {
        const cached = informers.for(nodes).get(name);
        const isGood = cached !== undefined && (!isLocal || volumesDirectoryOf(cached) !== undefined);
        return isGood ? cached : await this.#askForNode(name);
      }),
    );
    return new Map(found.flatMap((node) => (node === undefined ? [] : [[node.metadata?.name ?? '', node]])));
  }

  /** As the caches do: the binder itself may not read Nodes. */
  async #askForNode(name: string): Promise<Node | undefined> {
    const { client } = this.#context.informers;
    const { items } = await client.list(nodes, { fieldSelector: `metadata.name=${name}` });
    return items[0];
  }

  async #doForClaim(step: ClaimStep, key: string): Promise<void> {
    const claim = this.#claims.get(key);
    if (claim === undefined) return;
    const { clock, volumeCounts } = this.#context;
    switch (step.kind) {
      case 'event':
        if (step.reason === externalProvisioning)
          volumeCounts?.started(claimKey(key), 'provision', provisionerOf(claim));
        return (step.by === undefined ? this.#recorder : this.#expander).record(
          { kind: persistentVolumeClaims, object: claim },
          step.type,
          step.reason,
          step.message,
        );
      case 'phase':
        return this.#putClaim(claim, unboundClaimStatus(claim, step.phase), 'status');
      case 'bind':
        await this.#bind(step.volume, key);
        return volumeCounts?.ended(claimKey(key));
      case 'annotate':
        return this.#putClaim(claim, annotated(claim, step.annotations));
      case 'setClass':
        return countTry(volumeCounts?.classesGiven, () =>
          this.#putClaim(claim, { ...claim, spec: { ...claim.spec, storageClassName: step.name } }),
        );
      case 'createVolume':
        volumeCounts?.started(claimKey(key), 'provision', localProvisioner);
        return this.#tried(claimKey(key), () => this.#createVolume(step.volume));
      case 'announceExpansion':
        return this.#putClaim(claim, announced(claim, step.size, formatTime(clock.now())), 'status');
      case 'growVolume': {
        const capacity = { ...step.volume.spec?.capacity, storage: step.size };
        return this.#putVolume(step.volume, { ...step.volume, spec: { ...step.volume.spec, capacity } });
      }
      default:
        return unreachable(step);
    }
  }

  /**
   * The volume first: whoever it names has it, whatever becomes of the rest, which is done again from any point. The claim is told Bound
   * last: whoever sees that finds the volume so.
   */
  async #bind(volume: PersistentVolume, key: string): Promise<void> {
    const name = volume.metadata?.name ?? '';
    const claimOf = (): PersistentVolumeClaim => this.#claims.get(key) ?? {};
    this.#taken.set(name, claimOf().metadata?.uid);
    try {
      await this.#putVolume(volume, boundVolume(volume, claimOf()));
      const own = this.#volumes.get(name) ?? volume;
      await settleAll([
        this.#putVolume(own, withPhase(own, 'Bound'), 'status'),
        this.#putClaim(claimOf(), boundClaim(claimOf(), own)),
      ]);
      await this.#putClaim(claimOf(), boundClaimStatus(claimOf(), own), 'status');
    } finally {
      this.#taken.delete(name);
      if (this.#late.delete(name)) this.#enqueue(volumeKey(name));
    }
  }

  async #createVolume(volume: PersistentVolume): Promise<void> {
    try {
      this.#volumes.observe(await this.#context.client.create(persistentVolumes, volume));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async #syncVolume(name: string): Promise<KeyOutcome> {
    const volume = this.#volumes.get(name);
    if (volume === undefined) {
      this.#context.volumeCounts?.ended(volumeKey(name));
      return done;
    }
    const claim = await this.#claimOf(volume);
    const nodeInformer = this.#context.informers.for(nodes);
    const steps = planVolume({ volume, claim, hasNode: (node) => nodeInformer.get(node) !== undefined });
    const { persistentVolumeReclaimPolicy: policy, claimRef } = volume.spec ?? {};
    const maker = volume.metadata?.annotations?.[provisionedByAnnotation];
    if (maker !== undefined && policy === 'Delete' && claimRef !== undefined && claim === undefined)
      this.#context.volumeCounts?.started(volumeKey(name), 'delete', maker);
    for (const step of steps) await this.#tried(volumeKey(name), () => this.#doForVolume(step, name));
    return done;
  }

  /** What goes wrong is counted, where it is about something that is under way. */
  async #tried(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#context.volumeCounts?.failed(key);
      throw error;
    }
  }

  /** One that the cache does not have is asked for: a volume whose claim is gone is taken back, perhaps with what is in it. */
  async #claimOf({ spec }: PersistentVolume): Promise<PersistentVolumeClaim | undefined> {
    const { namespace = '', name = '', uid = '' } = spec?.claimRef ?? {};
    if (uid === '') return undefined;
    const cached = this.#claims.get(`${namespace}/${name}`);
    if (cached?.metadata?.uid === uid) return cached;
    try {
      const claim = await this.#context.client.get(persistentVolumeClaims, { namespace, name });
      return claim.metadata?.uid === uid ? claim : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #doForVolume(step: VolumeStep, name: string): Promise<void> {
    const volume = this.#volumes.get(name);
    if (volume === undefined) return;
    switch (step.kind) {
      case 'event':
        return this.#recorder.record(
          step.about === undefined
            ? { kind: persistentVolumes, object: volume }
            : { kind: persistentVolumeClaims, object: step.about },
          step.type,
          step.reason,
          step.message,
        );
      case 'phase':
        return this.#putVolume(volume, withPhase(volume, step.phase, step.message), 'status');
      case 'unbind':
        return this.#putVolume(volume, unboundVolume(volume));
      case 'letGo': {
        const finalizers = volume.metadata?.finalizers?.filter((one) => one !== localVolumeFinalizer);
        return this.#putVolume(volume, { ...volume, metadata: { ...volume.metadata, finalizers } });
      }
      case 'delete':
        return this.#deleteVolume(volume);
      default:
        return unreachable(step);
    }
  }

  async #deleteVolume({ metadata }: PersistentVolume): Promise<void> {
    const preconditions = { uid: metadata?.uid };
    try {
      await this.#context.client.delete(persistentVolumes, { name: metadata?.name ?? '' }, { preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Only of the revision that was looked at. */
  async #putClaim(
    from: PersistentVolumeClaim,
    to: PersistentVolumeClaim,
    subresource?: 'status',
  ): Promise<void> {
    if (from === to || equalJson(from, to)) return;
    this.#claims.observe(await this.#context.client.update(persistentVolumeClaims, to, { subresource }));
  }

  async #putVolume(from: PersistentVolume, to: PersistentVolume, subresource?: 'status'): Promise<void> {
    if (from === to || equalJson(from, to)) return;
    this.#volumes.observe(await this.#context.client.update(persistentVolumes, to, { subresource }));
  }
}

/** In the index of classes: claims that name none. No class is called so. */
const noClass = '-';

/** Whether a volume is there for claims that could not have it before. Most changes are of one that is bound by now. */
function isNewOffer(old: PersistentVolume | undefined, current: PersistentVolume | undefined): boolean {
  const offer = (volume: PersistentVolume | undefined): unknown =>
    volume?.status?.phase === 'Available' && volume.spec?.claimRef === undefined
      ? [volume.spec, volume.metadata?.labels]
      : undefined;
  const now = offer(current);
  return now !== undefined && !equalJson(now, offer(old));
}

function withPhase(
  volume: PersistentVolume,
  phase: NonNullable<PersistentVolume['status']>['phase'],
  message?: string,
): PersistentVolume {
  const { message: _before, reason: _reason, ...status } = volume.status ?? {};
  const told = message === undefined ? {} : { message };
  return volume.status?.phase === phase && volume.status?.message === message
    ? volume
    : { ...volume, status: { ...status, phase, ...told } };
}

function annotated(
  claim: PersistentVolumeClaim,
  changes: Readonly<Record<string, string | undefined>>,
): PersistentVolumeClaim {
  const annotations = Object.fromEntries(
    Object.entries({ ...claim.metadata?.annotations, ...changes }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    ),
  );
  return { ...claim, metadata: { ...claim.metadata, annotations } };
}
