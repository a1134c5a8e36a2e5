import path from 'node:path';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api/generated/objects.ts';
import { claimClass, provisionedByAnnotation, selectedNodeAnnotation } from '#api/volume/claim.ts';
import {
  localProvisioner,
  localVolumeFinalizer,
  localVolumeNode,
  volumeNodeLabel,
  volumesDirectoryOf,
  volumeSizesAnnotation,
} from '#api/volume/local-volumes.ts';
import { modeOf } from '#api/volume/match.ts';
import { event, type ClaimStep, type EventStep } from './step.ts';

export interface LocalVolumeInput {
  readonly claim: PersistentVolumeClaim;
  readonly storageClass: StorageClass;
  /** By name, as far as they are there. */
  readonly nodes: ReadonlyMap<string, Node>;
}

const modes: ReadonlySet<string> = new Set(['ReadWriteOnce', 'ReadWriteOncePod']);

/** The volume that a node is to make for a claim, or why it does not. A node that cannot is given up: another may be chosen. Pure. */
export function planLocalVolume(input: LocalVolumeInput): readonly ClaimStep[] {
  const { claim, storageClass, nodes } = input;
  const refusal = refusalOf(claim, storageClass);
  if (refusal !== undefined) return [provisioningFailed(storageClass, refusal)];
  const chosen = claim.metadata?.annotations?.[selectedNodeAnnotation] ?? '';
  const node = nodes.get(chosen);
  const directory = node === undefined ? undefined : volumesDirectoryOf(node);
  if (node === undefined || directory === undefined) {
    const why = whyNotOn(chosen, input) ?? '';
    return [
      provisioningFailed(storageClass, why),
      { kind: 'annotate', annotations: { [selectedNodeAnnotation]: undefined } },
    ];
  }
  const volume = renderVolume(input, node, directory);
  return [
    { kind: 'createVolume', volume },
    event(
      'Normal',
      'ProvisioningSucceeded',
      `Successfully provisioned volume ${volume.metadata?.name ?? ''}`,
    ),
  ];
}

/** Why a node is not one to make a volume of the class; undefined: it may be, or others decide. Pure. */
export function whyNotOn(
  name: string,
  { nodes, storageClass }: Pick<LocalVolumeInput, 'nodes' | 'storageClass'>,
): string | undefined {
  const node = nodes.get(name);
  if (node === undefined) return `node ${JSON.stringify(name)} not found`;
  const isLocal = storageClass.provisioner === localProvisioner;
  return isLocal && volumesDirectoryOf(node) === undefined ? `node ${name} makes no volumes` : undefined;
}

/** That, and why, there is no volume for a claim of the class. */
export function provisioningFailed({ metadata }: StorageClass, why: string): EventStep {
  const name = JSON.stringify(metadata?.name ?? '');
  return event(
    'Warning',
    'ProvisioningFailed',
    `failed to provision volume with StorageClass ${name}: ${why}`,
  );
}

/** What no node can do for a claim, whichever is chosen. */
function refusalOf(
  { metadata, spec }: PersistentVolumeClaim,
  storageClass: StorageClass,
): string | undefined {
  const other = (spec?.accessModes ?? []).find((mode) => !modes.has(mode));
  if (other !== undefined)
    return `access mode ${other} is not supported by ${localProvisioner}: a directory of one node is ReadWriteOnce or ReadWriteOncePod`;
  if (modeOf({ spec }) === 'Block') return `volumeMode Block is not supported by ${localProvisioner}`;
  if (spec?.selector !== undefined) return 'claim.spec.selector is not supported for dynamic provisioning';
  if (spec?.dataSource !== undefined || spec?.dataSourceRef !== undefined)
    return `a dataSource is not supported by ${localProvisioner}`;
  if ((spec?.volumeAttributesClassName ?? '') !== '')
    return `volumeAttributesClassName is not supported by ${localProvisioner}`;
  const [parameter] = Object.keys(storageClass.parameters ?? {});
  if (parameter !== undefined) return `parameter ${JSON.stringify(parameter)} of the class is not known`;
  if ((storageClass.mountOptions ?? []).length > 0) return 'mountOptions of the class are not supported';
  if (metadata?.annotations?.[selectedNodeAnnotation] === undefined)
    return `${localProvisioner} makes volumes where pods are: the class must have volumeBindingMode WaitForFirstConsumer`;
  return undefined;
}

/** Whether it is the volume that a node makes for this very claim. */
export function isMadeFor(volume: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  return localVolumeNode(volume) !== undefined && volume.metadata?.name === nameFor(metadata?.uid);
}

/** By the claim's uid: made twice it is the same. */
function nameFor(claimUid: string | undefined): string {
  return `pvc-${claimUid ?? ''}`;
}

function renderVolume(
  { claim, storageClass }: LocalVolumeInput,
  node: Node,
  directory: string,
): PersistentVolume {
  const name = nameFor(claim.metadata?.uid);
  const nodeName = node.metadata?.name ?? '';
  const hostname = node.metadata?.labels?.['kubernetes.io/hostname'] ?? nodeName;
  const sizes = node.metadata?.annotations?.[volumeSizesAnnotation];
  return {
    metadata: {
      name,
      labels: { [volumeNodeLabel]: nodeName },
      annotations: {
        [provisionedByAnnotation]: localProvisioner,
        ...(sizes === undefined ? {} : { [volumeSizesAnnotation]: sizes }),
      },
      finalizers: [localVolumeFinalizer],
    },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.['storage'] ?? '0' },
      accessModes: claim.spec?.accessModes,
      volumeMode: 'Filesystem',
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: claimClass(claim),
      claimRef: referenceTo(claim),
      local: { path: path.posix.join(directory, name, 'data') },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [hostname] }] },
          ],
        },
      },
    },
  };
}

/** How a volume names its claim. */
export function referenceTo({
  metadata,
}: PersistentVolumeClaim): NonNullable<NonNullable<PersistentVolume['spec']>['claimRef']> {
  return {
    kind: 'PersistentVolumeClaim',
    apiVersion: 'v1',
    namespace: metadata?.namespace,
    name: metadata?.name,
    uid: metadata?.uid,
    resourceVersion: metadata?.resourceVersion,
  };
}
