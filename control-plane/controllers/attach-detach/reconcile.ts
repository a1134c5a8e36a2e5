import type { KeyOutcome } from '#base/keyed-queue.ts';
import { unreachable } from '#base/unreachable.ts';
import {
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
} from '#api/schema/kind-ref.ts';
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import { findCondition } from '#api/meta/condition.ts';
import { isAttachRequired } from '#api/volume/attachment.ts';
import { claimKeysOfPod, nodeWithClaims } from '#api/volume/claim.ts';
import { describeRefusal, isAlreadyExists, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { attachFailure, isAttachManaged, isOutOfService, planAttach, type AttachStep } from './plan.ts';

/** Attaches volumes to the nodes of their pods: who does it is the driver's attacher, by VolumeAttachments. */
export function runAttachDetach(context: ControllerContext, waitsForSilentNodes = false): Controller {
  return new AttachDetach(context, waitsForSilentNodes).run();
}

class AttachDetach {
  readonly #context: ControllerContext;
  readonly #waitsForSilentNodes: boolean;
  readonly #recorder: EventRecorder;
  readonly #attachments: WritableInformer<VolumeAttachment>;
  readonly #volumes: WritableInformer<PersistentVolume>;
  readonly #nodes: WritableInformer<Node>;
  /** By volume and node: since when nobody there wants it (monotonic). */
  readonly #unwantedSince = new Map<string, number>();
  /** By volume and pod: what the pod was told last. */
  readonly #told = new Map<string, string>();

  constructor(context: ControllerContext, waitsForSilentNodes: boolean) {
    this.#context = context;
    this.#waitsForSilentNodes = waitsForSilentNodes;
    const { informers } = context;
    this.#recorder = context.recorder('attachdetach-controller');
    this.#attachments = informers.for(volumeAttachments, {
      indexes: {
        volume: ({ spec }) => [spec.source.persistentVolumeName ?? ''],
        node: ({ spec }) => [spec.nodeName],
      },
    });
    this.#volumes = informers.for(persistentVolumes, {
      indexes: { csiDriver: ({ spec }) => [spec?.csi?.driver ?? ''] },
    });
    this.#nodes = informers.for(nodes);
  }

  run(): Controller {
    const { informers, clock, logger } = this.#context;
    const claims = informers.for(persistentVolumeClaims);
    const podInformer = informers.for(pods, { indexes: { claimKey: claimKeysOfPod, nodeWithClaims } });
    const volumesOf = (pod: Pod | undefined): readonly string[] =>
      pod === undefined ? [] : claimKeysOfPod(pod).flatMap((key) => claims.get(key)?.spec?.volumeName || []);
    return runController({
      name: 'attachdetach-controller',
      ...{ clock, logger },
      sources: [
        source(podInformer, ({ old, current }) => [...new Set([...volumesOf(old), ...volumesOf(current)])]),
        source(claims, ({ old, current }) =>
          [old, current].flatMap((claim) => claim?.spec?.volumeName || []),
        ),
        source(this.#volumes, ({ key }) => [key]),
        source(this.#attachments, ({ old, current }) =>
          [old, current].flatMap((one) => one?.spec.source.persistentVolumeName ?? []),
        ),
        source(this.#nodes, ({ key, old, current }) => {
          const isSame =
            old !== undefined && current !== undefined && equalJson(seenOf(old), seenOf(current));
          const here = isSame ? [] : this.#attachments.byIndex('node', key);
          // It may be known later than its pods.
          const waiting =
            isAttachManaged(old) === isAttachManaged(current)
              ? []
              : podInformer.byIndex('nodeWithClaims', key);
          return [
            ...here.flatMap(({ spec }) => spec.source.persistentVolumeName ?? []),
            ...waiting.flatMap(volumesOf),
          ];
        }),
        source(informers.for(csiDrivers), ({ key }) =>
          this.#volumes.byIndex('csiDriver', key).map(({ metadata }) => metadata?.name ?? ''),
        ),
      ],
      reconcile: (name) => this.#sync(name),
    });
  }

  async #sync(name: string): Promise<KeyOutcome | void> {
    const { informers, clock } = this.#context;
    const volume = this.#volumes.get(name);
    if (volume?.spec?.csi === undefined) return;
    const { claimRef, csi } = volume.spec;
    const claimKey = `${claimRef?.namespace ?? ''}/${claimRef?.name ?? ''}`;
    const claim = claimRef === undefined ? undefined : informers.for(persistentVolumeClaims).get(claimKey);
    const isClaims = claim?.spec?.volumeName === name && claim.metadata?.uid === claimRef?.uid;
    const users = isClaims ? informers.for(pods).byIndex('claimKey', claimKey) : [];
    const wanted = new Set(users.map(({ spec }) => spec?.nodeName ?? ''));
    const attachments = this.#attachments.byIndex('volume', name);
    this.#noteUnwanted(name, attachments, wanted);
    const steps = planAttach({
      ...{ volume, attachments, pods: users, waitsForSilentNodes: this.#waitsForSilentNodes },
      isRequired: isAttachRequired(informers.for(csiDrivers).get(csi.driver)),
      node: (nodeName) => this.#nodes.get(nodeName),
      unwantedMs: (nodeName) =>
        clock.monotonic() - (this.#unwantedSince.get(`${name}/${nodeName}`) ?? clock.monotonic()),
    });
    let outcome: KeyOutcome | undefined;
    for (const step of steps) outcome = (await this.#do(step, volume)) ?? outcome;
    return outcome;
  }

  #noteUnwanted(name: string, attachments: readonly VolumeAttachment[], wanted: ReadonlySet<string>): void {
    const now = this.#context.clock.monotonic();
    const unwanted = new Set(attachments.map(({ spec }) => spec.nodeName).filter((one) => !wanted.has(one)));
    for (const key of this.#unwantedSince.keys()) {
      const slash = key.indexOf('/');
      if (key.slice(0, slash) === name && !unwanted.has(key.slice(slash + 1)))
        this.#unwantedSince.delete(key);
    }
    for (const one of unwanted) {
      const key = `${name}/${one}`;
      if (!this.#unwantedSince.has(key)) this.#unwantedSince.set(key, now);
    }
  }

  async #do(step: AttachStep, volume: PersistentVolume): Promise<KeyOutcome | undefined> {
    switch (step.kind) {
      case 'attach':
        return this.#attach(step, volume);
      case 'note':
        return this.#note(step, volume);
      case 'detach':
        return this.#detach(step);
      case 'warn':
        this.#warn(volume, step.pod, step.message);
        return undefined;
      case 'again':
        return step;
      default:
        return unreachable(step);
    }
  }

  async #attach(
    { attachment, pods: users }: Extract<AttachStep, { kind: 'attach' }>,
    volume: PersistentVolume,
  ): Promise<undefined> {
    try {
      this.#attachments.observe(await this.#context.client.create(volumeAttachments, attachment));
    } catch (error) {
      if (isAlreadyExists(error)) return;
      const why = `kubernetes.io/csi: attacher.Attach failed: ${describeRefusal(error)}`;
      for (const pod of users) this.#warn(volume, pod, attachFailure(volume, why));
      throw error;
    }
  }

  async #note(
    { nodeName, name, pods: users }: Extract<AttachStep, { kind: 'note' }>,
    volume: PersistentVolume,
  ): Promise<undefined> {
    const node = await this.#freshNode(nodeName);
    if (node === undefined) return;
    const before = node.status?.volumesAttached ?? [];
    if (!before.some((one) => one.name === name))
      await this.#putNode(node, { volumesAttached: [...before, { name, devicePath: '' }] });
    const message = `AttachVolume.Attach succeeded for volume ${JSON.stringify(volume.metadata?.name ?? '')} `;
    for (const pod of users) {
      this.#told.delete(toldKey(volume, pod));
      this.#recorder.record({ kind: pods, object: pod }, 'Normal', 'SuccessfulAttachVolume', message);
    }
  }

  /** On the revision in which the node does not use it: one that begins to writes first, and this fails and looks again. */
  async #detach({ attachment, name, force }: Extract<AttachStep, { kind: 'detach' }>): Promise<undefined> {
    const { nodeName } = attachment.spec;
    const node = await this.#freshNode(nodeName);
    if (node !== undefined) {
      if (force === undefined && node.status?.volumesInUse?.includes(name) === true) return; // The node's next word comes by the watch.
      const before = node.status?.volumesAttached ?? [];
      const left = before.filter((one) => one.name !== name);
      if (left.length < before.length) await this.#putNode(node, { volumesAttached: left });
      if (force !== undefined)
        this.#context.logger.warn(
          { node: nodeName, volume: name, force },
          'detached from a node that does not answer',
        );
    }
    const preconditions = { uid: attachment.metadata?.uid };
    if (force === 'timeout' || force === 'out-of-service') this.#context.volumeCounts?.forced(force);
    try {
      await this.#context.client.delete(
        volumeAttachments,
        { name: attachment.metadata?.name ?? '' },
        { preconditions },
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #freshNode(name: string): Promise<Node | undefined> {
    try {
      return await this.#context.client.get(nodes, { name });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #putNode(node: Node, status: Pick<NonNullable<Node['status']>, 'volumesAttached'>): Promise<void> {
    const next = { ...node, status: { ...node.status, ...status } };
    this.#nodes.observe(await this.#context.client.update(nodes, next, { subresource: 'status' }));
  }

  #warn(volume: PersistentVolume, pod: Pod, message: string): void {
    const key = toldKey(volume, pod);
    if (this.#told.get(key) === message) return;
    this.#told.delete(key);
    this.#told.set(key, message);
    const [oldest] = this.#told.keys();
    if (this.#told.size > toldMax && oldest !== undefined) this.#told.delete(oldest);
    this.#recorder.record({ kind: pods, object: pod }, 'Warning', 'FailedAttachVolume', message);
  }
}

/** Pods whose last word is remembered. */
const toldMax = 4096;

function toldKey(volume: PersistentVolume, pod: Pod): string {
  return `${volume.metadata?.name ?? ''}/${pod.metadata?.uid ?? ''}`;
}

/** What of a node is looked at. */
function seenOf(node: Node): unknown {
  const { status } = node;
  return [
    ...[status?.volumesInUse, status?.volumesAttached, isOutOfService(node)],
    findCondition(status?.conditions, 'Ready')?.status,
  ];
}
