import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import {
  bindCompletedAnnotation,
  boundByControllerAnnotation,
  claimClass,
  isBoundTo,
  selectedNodeAnnotation,
  storageProvisionerAnnotations,
  waitsForConsumer,
} from '#api/volume/claim.ts';
import { localProvisioner } from '#api/volume/local-volumes.ts';
import { findVolume, mismatch } from '#api/volume/match.ts';
import { planExpansion } from './plan-expansion.ts';
import { isMadeFor, planLocalVolume, provisioningFailed, whyNotOn } from './plan-local-volume.ts';
import { event, externalProvisioning, type ClaimStep } from './step.ts';

/** All that is looked at for one claim. */
export interface ClaimInput {
  readonly claim: PersistentVolumeClaim;
  /** Volumes that may become its own: those that name it, and of its class those that name nobody. */
  readonly candidates: readonly PersistentVolume[];
  /** The volume that it names. */
  readonly named: PersistentVolume | undefined;
  /** The class that it names. */
  readonly storageClass: StorageClass | undefined;
  readonly defaultClass: StorageClass | undefined;
  /** By name: that which was chosen for it, and those that its pods are on, as far as they are there. */
  readonly nodes: ReadonlyMap<string, Node>;
  /** Pods that use it. */
  readonly consumers: readonly Pod[];
  /** Whether claims that ask for more get it here; default: yes. */
  readonly expands?: boolean;
  /** Volumes that another claim is just being bound to. */
  readonly isTaken: (volume: PersistentVolume) => boolean;
}

/** What the binder does about a claim (syncClaim of the persistentvolume controller of kube-controller-manager 1.36). Pure. */
export function planClaim(input: ClaimInput): readonly ClaimStep[] {
  const { claim } = input;
  if (claim.metadata?.annotations?.[bindCompletedAnnotation] !== undefined) return planBound(input);
  if (claim.metadata?.deletionTimestamp !== undefined) return [];
  return (claim.spec?.volumeName ?? '') === '' ? planFree(input) : planNaming(input);
}

/** One that has, or had, its volume. */
function planBound({ claim, named, expands = true }: ClaimInput): readonly ClaimStep[] {
  const lose = (reason: string, message: string): readonly ClaimStep[] =>
    claim.status?.phase === 'Lost'
      ? []
      : [event('Warning', reason, message), { kind: 'phase', phase: 'Lost' }];
  if ((claim.spec?.volumeName ?? '') === '')
    return lose(
      'ClaimLost',
      'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
    );
  if (named === undefined)
    return lose('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  if (named.spec?.claimRef !== undefined && named.spec.claimRef.uid !== claim.metadata?.uid)
    return lose('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
  return [{ kind: 'bind', volume: named }, ...(expands ? planExpansion(claim, named) : [])];
}

const pending: ClaimStep = { kind: 'phase', phase: 'Pending' };

/** One that says itself which volume it wants. */
function planNaming({ claim, named }: ClaimInput): readonly ClaimStep[] {
  if (named === undefined) return [pending];
  const bind: ClaimStep = { kind: 'bind', volume: named };
  const name = JSON.stringify(named.metadata?.name ?? '');
  if (named.spec?.claimRef === undefined) {
    const cause = mismatch(named, claim);
    if (cause === undefined) return [bind];
    return [event('Warning', 'VolumeMismatch', `Cannot bind to requested volume ${name}: ${cause}`), pending];
  }
  // That both name each other is enough: somebody meant it so.
  if (isBoundTo(named, claim)) return [bind];
  return [event('Warning', 'FailedBinding', `volume ${name} already bound to a different claim.`), pending];
}

/** One that takes what fits, or what is made for it. */
function planFree(input: ClaimInput): readonly ClaimStep[] {
  const { claim, candidates, storageClass, defaultClass, isTaken } = input;
  const name = claimClass(claim);
  const waits = waitsForConsumer(storageClass);
  const volume = findVolume(claim, candidates, { onlyNamed: waits, isTaken });
  if (volume !== undefined) return [{ kind: 'bind', volume }];
  if (name === undefined && defaultClass !== undefined)
    return [{ kind: 'setClass', name: defaultClass.metadata?.name ?? '' }];
  if (waits && claim.metadata?.annotations?.[selectedNodeAnnotation] === undefined)
    return [...planWaiting(input), pending];
  if ((name ?? '') !== '') return [...planProvisioning(input, name ?? ''), pending];
  return [
    event(
      'Normal',
      'FailedBinding',
      'no persistent volumes available for this claim and no storage class is set',
    ),
    pending,
  ];
}

/**
 * A claim that waits for a pod. One whose pod names its node itself would wait for ever, as no scheduler sees the pod: that node is the
 * chosen one (upstream leaves it waiting), unless whoever makes the volume would only give it back.
 */
function planWaiting({ consumers, nodes, storageClass }: ClaimInput): readonly ClaimStep[] {
  const active = consumers.filter((pod) => !isTerminal(pod) && pod.metadata?.deletionTimestamp === undefined);
  const placed = active.map(({ spec }) => spec?.nodeName ?? '').find((name) => name !== '');
  if (placed !== undefined && storageClass !== undefined) {
    const why = whyNotOn(placed, { nodes, storageClass });
    if (why !== undefined) return [provisioningFailed(storageClass, why)];
    return [{ kind: 'annotate', annotations: { [selectedNodeAnnotation]: placed } }];
  }
  const names = active.map(({ metadata }) => metadata?.name ?? '').toSorted();
  if (names.length === 0) {
    const message = 'waiting for first consumer to be created before binding';
    return [event('Normal', 'WaitForFirstConsumer', message)];
  }
  const pods = `${names.length === 1 ? 'pod' : 'pods'} ${names.join(',')}`;
  return [event('Normal', 'WaitForPodScheduled', `waiting for ${pods} to be scheduled`)];
}

/** Drivers that took the place of what kube-controller-manager once made itself (csi-translation-lib). */
const successors: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/aws-ebs', 'ebs.csi.aws.com'],
  ['kubernetes.io/azure-disk', 'disk.csi.azure.com'],
  ['kubernetes.io/azure-file', 'file.csi.azure.com'],
  ['kubernetes.io/cinder', 'cinder.csi.openstack.org'],
  ['kubernetes.io/gce-pd', 'pd.csi.storage.gke.io'],
  ['kubernetes.io/portworx-volume', 'pxd.portworx.com'],
  ['kubernetes.io/vsphere-volume', 'csi.vsphere.vmware.com'],
]);

/** Who makes the volumes of a class; undefined: nobody can. */
function driverOf(provisioner: string): string | undefined {
  return provisioner.startsWith('kubernetes.io/') ? successors.get(provisioner) : provisioner;
}

function planProvisioning(input: ClaimInput, name: string): readonly ClaimStep[] {
  const { claim, storageClass } = input;
  if (storageClass === undefined) {
    const message = `storageclass.storage.k8s.io ${JSON.stringify(name)} not found`;
    return [event('Warning', 'ProvisioningFailed', message)];
  }
  const provisioner = driverOf(storageClass.provisioner);
  if (provisioner === undefined) {
    // Nobody makes such volumes: they are made by hand, or were made by a kube-controller-manager of long ago.
    const message = `no volume plugin matched name: ${storageClass.provisioner}`;
    return [event('Warning', 'ProvisioningFailed', message)];
  }
  const isTold = storageProvisionerAnnotations.every(
    (annotation) => claim.metadata?.annotations?.[annotation] === provisioner,
  );
  const tell: readonly ClaimStep[] = isTold
    ? []
    : [
        {
          kind: 'annotate',
          annotations: provisionedBy(provisioner),
        },
      ];
  if (provisioner === localProvisioner) {
    const steps = planLocalVolume({ ...input, storageClass });
    // Nobody else waits for these words: they come with the volume's name, in one write.
    return steps.some(({ kind }) => kind === 'createVolume') ? steps : [...tell, ...steps];
  }
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
  return [...tell, event('Normal', externalProvisioning, message)];
}

/** What a claim says of who makes its volume. */
function provisionedBy(provisioner: string): Readonly<Record<string, string>> {
  return Object.fromEntries(storageProvisionerAnnotations.map((annotation) => [annotation, provisioner]));
}

/** The claim as it is once it is bound: it names the volume, and says by whom it was so. Pure. */
export function boundClaim(claim: PersistentVolumeClaim, volume: PersistentVolume): PersistentVolumeClaim {
  const name = volume.metadata?.name ?? '';
  const annotations = {
    ...claim.metadata?.annotations,
    ...(isMadeFor(volume, claim) ? provisionedBy(localProvisioner) : {}),
    ...(claim.spec?.volumeName === name ? {} : { [boundByControllerAnnotation]: 'yes' }),
    [bindCompletedAnnotation]: 'yes',
  };
  return {
    ...claim,
    metadata: { ...claim.metadata, annotations },
    spec: { ...claim.spec, volumeName: name },
  };
}

/** Its status then. Of one that was bound before the size stays: what is grown is told by who grew it. Pure. */
export function boundClaimStatus(
  claim: PersistentVolumeClaim,
  { spec }: PersistentVolume,
): PersistentVolumeClaim {
  const { status } = claim;
  const capacity = status?.phase === 'Bound' ? status.capacity : spec?.capacity;
  const attributes = spec?.volumeAttributesClassName ?? '';
  const current =
    status?.phase === 'Bound' || attributes === '' ? {} : { currentVolumeAttributesClassName: attributes };
  return {
    ...claim,
    status: { ...status, phase: 'Bound', accessModes: spec?.accessModes, capacity, ...current },
  };
}

/** Its status without a volume. Pure. */
export function unboundClaimStatus(
  claim: PersistentVolumeClaim,
  phase: 'Pending' | 'Lost',
): PersistentVolumeClaim {
  const {
    accessModes: _modes,
    capacity: _capacity,
    currentVolumeAttributesClassName: _attributes,
    ...status
  } = claim.status ?? {};
  return { ...claim, status: { ...status, phase } };
}
