import path from 'node:path';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api/generated/objects.ts';
import { claimClass, provisionedByAnnotation, selectedNodeAnnotation } from '#api/volume/claim.ts';
import {
  localProvisioner,
  localVolumeFinalizer,
  volumeNodeLabel,
  volumesDirectoryOf,
  volumeSizesAnnotation,
} from '#api/volume/local-volumes.ts';
import { modeOf } from '#api/volume/match.ts';
import { event, type ClaimStep } from './step.ts';

export interface LocalVolumeInput {
  readonly claim: PersistentVolumeClaim;
  readonly storageClass: StorageClass;
  /** The node that was chosen; undefined: it is not there (any more). */
  readonly node: Node | undefined;
}

const modes: ReadonlySet<string> = new Set(['ReadWriteOnce', 'ReadWriteOncePod']);

/** The volume that a node is to make for a claim, or why it does not. A node that cannot is given up: another may be chosen. Pure. */
export function planLocalVolume(input: LocalVolumeInput): readonly ClaimStep[] {
  const { claim, storageClass, node } = input;
  const fail = (why: string): ClaimStep =>
    event(
      'Warning',
      'ProvisioningFailed',
      `failed to provision volume with StorageClass ${JSON.stringify(storageClass.metadata?.name ?? '')}: ${why}`,
    );
  const refusal = refusalOf(claim, storageClass);
  if (refusal !== undefined) return [fail(refusal)];
  const chosen = claim.metadata?.annotations?.[selectedNodeAnnotation] ?? '';
  const directory = node === undefined ? undefined : volumesDirectoryOf(node);
  if (node === undefined || directory === undefined) {
    const why =
      node === undefined ? `node ${JSON.stringify(chosen)} not found` : `node ${chosen} makes no volumes`;
    return [fail(why), { kind: 'annotate', annotations: { [selectedNodeAnnotation]: undefined } }];
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

/** Named by the claim's uid: made twice it is the same. */
function renderVolume(
  { claim, storageClass }: LocalVolumeInput,
  node: Node,
  directory: string,
): PersistentVolume {
  const name = `pvc-${claim.metadata?.uid ?? ''}`;
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
