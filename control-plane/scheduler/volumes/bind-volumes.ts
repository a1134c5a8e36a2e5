import { PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  VolumeAttachment,
} from '#api/generated/objects.ts';
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  volumeAttachments,
} from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import {
  boundByControllerAnnotation,
  isBoundTo,
  isFullyBound,
  offeredTo,
  selectedNodeAnnotation,
} from '#api/volume/claim.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import type { VolumeLookUp } from './look-up.ts';
import { claimsFor, planVolumes, type VolumePlan } from './plan-volumes.ts';

/** How long a pod waits for volumes that are made for it (bindTimeoutSeconds of kube-scheduler). */
const bindMsMax = 600_000;

/** What the scheduler knows and does about volumes. */
export interface VolumeBinder {
  readonly look: VolumeLookUp;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly volumes: Informer<PersistentVolume>;
  readonly classes: Informer<StorageClass>;
  readonly drivers: Informer<CSIDriver>;
  readonly csiNodes: Informer<CSINode>;
  readonly capacities: Informer<CSIStorageCapacity>;
  readonly attachments: Informer<VolumeAttachment>;
  /**
   * Takes for the pod what its claims need on the node, so that the next decision counts it; undefined where nothing is missing. Undone
   * by disposing, and made so by `bind`.
   */
  reserve(pod: Pod, nodeName: string): Reservation | undefined;
  /** A claim, or pod, of that key changed: whoever waits for it looks. */
  note(kind: 'claim' | 'pod', key: string): void;
}

export interface Reservation extends Disposable {
  /** Has the volumes bound or made. @throws when that fails, or another node was chosen */
  bind(signal: AbortSignal, msMax?: number): Promise<void>;
}

export interface VolumeBinderOptions {
  readonly informers: Informers;
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Whether a pod that is on a node, or was just decided, uses the claim. */
  readonly usedOn: VolumeLookUp['usedOn'];
}

export function createVolumeBinder(options: VolumeBinderOptions): VolumeBinder {
  const { informers, usedOn } = options;
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes, { indexes: { offered: (one) => [offeredTo(one)] } });
  const classes = informers.for(storageClasses);
  const drivers = informers.for(csiDrivers);
  const nodesOfDrivers = informers.for(csiNodes);
  const capacities = informers.for(csiStorageCapacities, {
    indexes: { className: ({ storageClassName }) => [storageClassName] },
  });
  const attachments = informers.for(volumeAttachments, { indexes: { node: ({ spec }) => [spec.nodeName] } });
  const taken = new Map<string, string>(); // volumes by name: the claim
  const chosen = new Map<string, string>(); // claims by key: the node
  const waiting = new Map<string, Set<() => void>>(); // by what a binding waits for
  const look: VolumeLookUp = {
    claim: (key) => claims.get(key),
    volume: (name) => volumes.get(name),
    storageClass: (name) => classes.get(name),
    offered: (className, key) => [
      ...volumes.byIndex('offered', `claim/${key}`),
      ...volumes.byIndex('offered', `class/${className}`),
    ],
    isTaken: ({ metadata }, key) => (taken.get(metadata?.name ?? '') ?? key) !== key,
    chosenNode: (key) => chosen.get(key),
    usedOn,
    csiNode: (name) => nodesOfDrivers.get(name),
    attachments: (nodeName) => attachments.byIndex('node', nodeName),
    csiDriver: (name) => drivers.get(name),
    capacities: (className) => capacities.byIndex('className', className),
  };
  return {
    look,
    claims,
    volumes,
    classes,
    drivers,
    csiNodes: nodesOfDrivers,
    capacities,
    attachments,
    reserve: (pod, nodeName) => {
      const plan = planFor(pod, nodeName, { look, informers });
      if (plan === undefined) return undefined;
      for (const { claim, volume } of plan.bind) taken.set(volume.metadata?.name ?? '', objectKey(claim));
      const own = [...plan.bind.map(({ claim }) => claim), ...plan.provision].map(objectKey);
      for (const key of own) chosen.set(key, nodeName);
      return {
        bind: (signal, msMax = bindMsMax) =>
          bindAll({ ...options, claims, volumes, waiting, pod, nodeName, plan, msMax }, signal),
        [Symbol.dispose]: () => {
          for (const { volume } of plan.bind) taken.delete(volume.metadata?.name ?? '');
          for (const key of own) chosen.delete(key);
        },
      };
    },
    note: (kind, key) => {
      for (const look of waiting.get(`${kind}/${key}`) ?? []) look();
    },
  };
}

/** Undefined where every claim has its volume. */
function planFor(
  pod: Pod,
  nodeName: string,
  { look, informers }: { readonly look: VolumeLookUp; readonly informers: Informers },
): VolumePlan | undefined {
  const found = claimsFor(pod, look);
  const node = informers.for(nodes).get(nodeName);
  if (typeof found === 'string' || node === undefined || found.waiting.length === 0) return undefined;
  const plan = planVolumes(found, node, look);
  return 'reasons' in plan ? undefined : plan;
}

interface Binding extends VolumeBinderOptions {
  readonly claims: WritableInformer<PersistentVolumeClaim>;
  readonly volumes: WritableInformer<PersistentVolume>;
  readonly waiting: Map<string, Set<() => void>>;
  readonly pod: Pod;
  readonly nodeName: string;
  readonly plan: VolumePlan;
  /** How long it is waited for. */
  readonly msMax: number;
}

/** What is written is of the revision that was decided on: whoever wrote since was first. */
async function bindAll(binding: Binding, signal: AbortSignal): Promise<void> {
  const { client, claims, volumes, nodeName, plan } = binding;
  for (const { claim, volume } of plan.bind) {
    if (isBoundTo(volume, claim)) continue;
    volumes.observe(await client.update(persistentVolumes, promised(volume, claim)));
  }
  for (const claim of plan.provision) {
    const annotations = { ...claim.metadata?.annotations, [selectedNodeAnnotation]: nodeName };
    if (claim.metadata?.annotations?.[selectedNodeAnnotation] === nodeName) continue;
    const next = { ...claim, metadata: { ...claim.metadata, annotations } };
    claims.observe(await client.update(persistentVolumeClaims, next));
  }
  await untilBound(binding, signal);
}

/** A volume that is a claim's from now on; the binder does the rest. */
function promised(volume: PersistentVolume, { metadata }: PersistentVolumeClaim): PersistentVolume {
  const annotations = { ...volume.metadata?.annotations, [boundByControllerAnnotation]: 'yes' };
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  const claimRef = {
    ...{ kind: 'PersistentVolumeClaim', apiVersion: 'v1' },
    ...{ namespace, name, uid, resourceVersion },
  };
  return {
    ...volume,
    metadata: { ...volume.metadata, annotations },
    spec: { ...volume.spec, claimRef },
  };
}

async function untilBound(binding: Binding, signal: AbortSignal): Promise<void> {
  const { informers, claims, clock, pod, plan, waiting, msMax } = binding;
  const keys = [...plan.bind.map(({ claim }) => claim), ...plan.provision].map(objectKey);
  const provisioned = new Set(plan.provision.map(objectKey));
  const podKey = objectKey(pod);
  const end = Promise.withResolvers<void>();
  const fail = (why: string): void => end.reject(new PodwrightError('E_CONFLICT', `bind volumes: ${why}`));
  const look = (): void => {
    const states = keys.map((key) => stateOf(claims.get(key), provisioned.has(key), binding));
    const failed = states.find((one) => one !== 'bound' && one !== 'waits');
    if (informers.for(pods).get(podKey)?.metadata?.uid !== pod.metadata?.uid) fail('the pod is gone');
    else if (failed !== undefined) fail(failed);
    else if (states.every((one) => one === 'bound')) end.resolve();
  };
  using stack = new DisposableStack();
  for (const key of [`pod/${podKey}`, ...keys.map((one) => `claim/${one}`)]) {
    const looks = waiting.get(key) ?? new Set();
    waiting.set(key, looks.add(look));
    stack.defer(() => {
      if (looks.delete(look) && looks.size === 0) waiting.delete(key);
    });
  }
  stack.use(clock.after(msMax, () => fail(`not done in ${msMax / 1000} s`)));
  const stop = (): void => end.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  stack.defer(() => signal.removeEventListener('abort', stop));
  look();
  await end.promise;
}

/** `bound`, `waits`, or why it will not be bound as was planned. */
function stateOf(
  claim: PersistentVolumeClaim | undefined,
  isProvisioned: boolean,
  { nodeName }: Binding,
): string {
  if (claim === undefined) return 'a claim is gone';
  if (isFullyBound(claim)) return 'bound';
  const name = claim.metadata?.name ?? '';
  if (claim.metadata?.deletionTimestamp !== undefined) return `claim ${name} is being deleted`;
  // Whoever makes volumes gives the node back where it cannot have one.
  const chosen = claim.metadata?.annotations?.[selectedNodeAnnotation];
  return isProvisioned && chosen !== nodeName ? `no volume for claim ${name} on node ${nodeName}` : 'waits';
}
