import type { Node, PersistentVolume, Pod, VolumeAttachment } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { isTerminal, isTerminating } from '#api/pod/state.ts';
import {
  attachedName,
  attachmentName,
  managedAttachAnnotation,
  mayBeOnManyNodes,
  outOfServiceTaint,
} from '#api/volume/attachment.ts';

/** A node whose volumes are not given back is believed dead after so long (maxWaitForUnmountDuration of kube-controller-manager). */
export const unmountMsMax = 360_000;

/** All that is looked at for one volume. */
export interface AttachInput {
  readonly volume: PersistentVolume;
  /** Whether its driver has volumes attached at all. */
  readonly isRequired: boolean;
  /** Those that name the volume. */
  readonly attachments: readonly VolumeAttachment[];
  /** Pods that use its claim. */
  readonly pods: readonly Pod[];
  readonly node: (name: string) => Node | undefined;
  /** Since when nobody on the node wants it, ms before now; undefined: somebody does. */
  readonly unwantedMs: (nodeName: string) => number;
  /** Whether a silent node keeps it until somebody says that it is off (`--disable-force-detach-on-timeout`). */
  readonly waitsForSilentNodes: boolean;
}

/** Why a node is not waited for: it is silent for too long, somebody says that it is off, or there is none. */
export type DetachForce = 'timeout' | 'out-of-service' | 'gone';

/** What is due, in order. */
export type AttachStep =
  /** Its pods are told if it cannot be asked for. */
  | { readonly kind: 'attach'; readonly attachment: VolumeAttachment; readonly pods: readonly Pod[] }
  /** The Node says that it has the volume; its pods are told. */
  | { readonly kind: 'note'; readonly nodeName: string; readonly name: string; readonly pods: readonly Pod[] }
  /** The Node says so no longer, unless it uses it (by force: whatever it says); then the attachment goes. */
  | {
      readonly kind: 'detach';
      readonly attachment: VolumeAttachment;
      readonly name: string;
      readonly force: DetachForce | undefined;
    }
  | { readonly kind: 'warn'; readonly pod: Pod; readonly message: string }
  | { readonly kind: 'again'; readonly afterMs: number };

/** Attaches a volume to the nodes of its pods, and takes it from all others (attachdetach of kube-controller-manager 1.36). Pure. */
export function planAttach(input: AttachInput): readonly AttachStep[] {
  const { volume, attachments, node } = input;
  const { csi } = volume.spec ?? {};
  if (csi === undefined) return [];
  const users = usersByNode(input);
  const own = attachments.filter(
    ({ metadata, spec }) =>
      metadata?.name === attachmentName(csi, spec.nodeName) && spec.attacher === csi.driver,
  );
  const steps: AttachStep[] = [];
  for (const attachment of own)
    if (!users.has(attachment.spec.nodeName)) steps.push(...planDetach(attachment, input));
  for (const [nodeName, pods] of users) {
    const found = own.find(({ spec }) => spec.nodeName === nodeName);
    if (found !== undefined) steps.push(...planAttached(found, { volume, pods, node: node(nodeName) }));
    else if (isExclusive(volume, own))
      steps.push(...pods.map((pod) => refuse(volume, pod, otherPods(users, nodeName))));
    else steps.push({ kind: 'attach', attachment: renderAttachment(volume, nodeName), pods });
  }
  return steps;
}

/** Of one node at a time, and somebody has it. */
function isExclusive(volume: PersistentVolume, own: readonly VolumeAttachment[]): boolean {
  return own.length > 0 && !mayBeOnManyNodes(volume);
}

function usersByNode({ isRequired, pods, node }: AttachInput): ReadonlyMap<string, readonly Pod[]> {
  const users = new Map<string, Pod[]>();
  if (!isRequired) return users;
  for (const pod of pods) {
    const name = pod.spec?.nodeName ?? '';
    if (!isAttachManaged(node(name)) || isDone(pod)) continue;
    users.set(name, [...(users.get(name) ?? []), pod]);
  }
  return users;
}

/** Whether the node, if it is there, leaves it to others that volumes are attached to it. */
export function isAttachManaged(node: Node | undefined): boolean {
  return node?.metadata?.annotations?.[managedAttachAnnotation] === 'true';
}

/** Nothing of it runs any more (IsPodTerminated of kubernetes pkg/volume/util). */
export function isDone(pod: Pod): boolean {
  if (isTerminal(pod)) return true;
  const statuses = pod.status?.containerStatuses ?? [];
  return (
    isTerminating(pod) && statuses.every(({ state }) => (state?.terminated ?? state?.waiting) !== undefined)
  );
}

function planAttached(
  { status, metadata, spec }: VolumeAttachment,
  {
    volume,
    pods,
    node,
  }: { readonly volume: PersistentVolume; readonly pods: readonly Pod[]; readonly node: Node | undefined },
): readonly AttachStep[] {
  const { csi } = volume.spec ?? {};
  if (csi === undefined || metadata?.deletionTimestamp !== undefined) return []; // Attached anew when it is gone.
  const { message } = status?.attachError ?? {};
  if (status?.attached !== true)
    return message === undefined
      ? []
      : pods.map((pod) => ({ kind: 'warn', pod, message: attachFailure(volume, message) }));
  const name = attachedName(csi);
  if (node?.status?.volumesAttached?.some((one) => one.name === name) === true) return [];
  return [{ kind: 'note', nodeName: spec.nodeName, name, pods }];
}

/** In the words of kube-controller-manager's operation generator. */
export function attachFailure({ metadata }: PersistentVolume, why: string): string {
  return `AttachVolume.Attach failed for volume ${JSON.stringify(metadata?.name ?? '')} : ${why}`;
}

function planDetach(
  attachment: VolumeAttachment,
  { volume, node, unwantedMs, waitsForSilentNodes }: AttachInput,
): readonly AttachStep[] {
  const { csi } = volume.spec ?? {};
  if (csi === undefined || attachment.metadata?.deletionTimestamp !== undefined) return [];
  const name = attachedName(csi);
  const found = node(attachment.spec.nodeName);
  const detach = { kind: 'detach', attachment, name } as const;
  if (found === undefined) return [{ ...detach, force: 'gone' }];
  if (found.status?.volumesInUse?.includes(name) !== true) return [{ ...detach, force: undefined }];
  if (isOutOfService(found)) return [{ ...detach, force: 'out-of-service' }];
  if (findCondition(found.status?.conditions, 'Ready')?.status === 'True') return []; // It says when it is done.
  if (waitsForSilentNodes) return [];
  const leftMs = unmountMsMax - unwantedMs(attachment.spec.nodeName);
  return leftMs <= 0 ? [{ ...detach, force: 'timeout' }] : [{ kind: 'again', afterMs: leftMs }];
}

/** Whether somebody says that the node is off for good. */
export function isOutOfService({ spec }: Node): boolean {
  return spec?.taints?.some(({ key }) => key === outOfServiceTaint) === true;
}

function otherPods(users: ReadonlyMap<string, readonly Pod[]>, nodeName: string): readonly Pod[] {
  return [...users].flatMap(([name, pods]) => (name === nodeName ? [] : pods));
}

/** In the words of reportMultiAttachError. */
function refuse(volume: PersistentVolume, pod: Pod, others: readonly Pod[]): AttachStep {
  const near = others.filter(({ metadata }) => metadata?.namespace === pod.metadata?.namespace);
  const far = others.length - near.length;
  const names = near.map(({ metadata }) => metadata?.name ?? '').toSorted();
  const elsewhere = `${far} pod(s) in different namespaces`;
  const why =
    others.length === 0
      ? "Volume is already exclusively attached to one node and can't be attached to another"
      : names.length === 0
        ? `Volume is already used by ${elsewhere}`
        : `Volume is already used by pod(s) ${names.join(', ')}${far === 0 ? '' : ` and ${elsewhere}`}`;
  return {
    kind: 'warn',
    pod,
    message: `Multi-Attach error for volume ${JSON.stringify(volume.metadata?.name ?? '')} ${why}`,
  };
}

function renderAttachment({ metadata, spec }: PersistentVolume, nodeName: string): VolumeAttachment {
  const { csi } = spec ?? {};
  return {
    metadata: { name: csi === undefined ? '' : attachmentName(csi, nodeName) },
    spec: { attacher: csi?.driver ?? '', nodeName, source: { persistentVolumeName: metadata?.name } },
  };
}
