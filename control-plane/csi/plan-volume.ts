/** What is asked of a driver for a claim, and the PersistentVolume that its answer becomes (external-provisioner). Pure. */
import { PodwrightError } from '#base/errors.ts';
import type {
  CSINode,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  SecretReference,
  StorageClass,
} from '#api/generated/objects.ts';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import { provisionedByAnnotation } from '#api/volume/claim.ts';
import { modeOf } from '#api/volume/match.ts';
import type { Outgoing } from '#proto/contract.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import type { CreateVolumeRequest, Topology, TopologyRequirement, Volume } from '#proto/csi/csi.ts';

export const provisionerFinalizer = 'external-provisioner.volume.kubernetes.io/finalizer';
const reserved = 'csi.storage.k8s.io/';
/** Which secrets a class may name: each `csi.storage.k8s.io/STEP-secret-name` and `-namespace`. */
const secretSteps = [
  'provisioner',
  'controller-publish',
  'node-stage',
  'node-publish',
  'controller-expand',
  'controller-modify',
  'node-expand',
] as const;
type SecretStep = (typeof secretSteps)[number];

export interface VolumeWish {
  readonly claim: PersistentVolumeClaim;
  readonly storageClass: StorageClass;
  readonly driver: string;
  /** The driver tells how many pods of a node may write. */
  readonly isExact: boolean;
  readonly topology?: Outgoing<TopologyRequirement> | undefined;
  readonly source?: Outgoing<CreateVolumeRequest>['volume_content_source'];
  /** What the claim's class of attributes says; undefined without one. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export function volumeNameOf({ metadata }: PersistentVolumeClaim): string {
  return `pvc-${metadata?.uid ?? ''}`;
}

export function renderCreate(
  wish: VolumeWish,
  secrets: Readonly<Record<string, string>>,
): Outgoing<CreateVolumeRequest> {
  const { claim, storageClass, isExact, topology, source, attributes } = wish;
  const { parameters = {}, mountOptions } = storageClass;
  const isBlock = modeOf(claim) === 'Block';
  const fsType = parameters[`${reserved}fstype`];
  return {
    name: volumeNameOf(claim),
    capacity_range: { required_bytes: requestedBytes(claim) },
    volume_capabilities: (claim.spec?.accessModes ?? []).map((mode) =>
      renderCapability({ isBlock, fsType, mountOptions, mode: accessMode(mode, isExact) }),
    ),
    parameters: Object.fromEntries(Object.entries(parameters).filter(([key]) => !key.startsWith(reserved))),
    secrets,
    ...(attributes === undefined ? {} : { mutable_parameters: attributes }),
    ...(topology === undefined ? {} : { accessibility_requirements: topology }),
    ...(source === undefined || source === null ? {} : { volume_content_source: source }),
  };
}

/** Bytes as sizes of volumes are written: `3Mi`. */
export function binarySize(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
  let [rest, unit] = [bytes, 0];
  for (; rest > 0 && rest % 1024 === 0 && unit < units.length - 1; unit++) rest /= 1024;
  return `${rest}${units[unit] ?? ''}`;
}

export function requestedBytes({ spec }: PersistentVolumeClaim): number {
  return bytesOf(spec?.resources?.requests?.['storage'] ?? '0');
}

/** Whole bytes of a quantity. */
export function bytesOf(size: string): number {
  return Number(quantityToInteger(parseQuantity(size)));
}

/** The secret of a step, with what stands for names in it. @throws {E_INVALID} for a name without a namespace */
export function secretReference(
  step: SecretStep,
  { claim, storageClass }: Pick<VolumeWish, 'claim' | 'storageClass'>,
): SecretReference | undefined {
  const { parameters = {} } = storageClass;
  const [name, namespace] = ['name', 'namespace'].map(
    (part) => parameters[`${reserved}${step}-secret-${part}`],
  );
  if (name === undefined && namespace === undefined) return undefined;
  if (name === undefined || namespace === undefined)
    throw new PodwrightError(
      'E_INVALID',
      `StorageClass ${storageClass.metadata?.name ?? ''}: ${step}-secret needs a name and a namespace`,
    );
  return { name: filled(name, claim), namespace: filled(namespace, claim) };
}

function filled(template: string, claim: PersistentVolumeClaim): string {
  const { metadata } = claim;
  return template.replaceAll(/\$\{([^}]*)\}/g, (whole, key: string) => {
    if (key === 'pv.name') return volumeNameOf(claim);
    if (key === 'pvc.name') return metadata?.name ?? '';
    if (key === 'pvc.namespace') return metadata?.namespace ?? '';
    const annotation = /^pvc\.annotations\['([^']+)'\]$/.exec(key)?.[1];
    const value = annotation === undefined ? undefined : metadata?.annotations?.[annotation];
    if (value === undefined)
      throw new PodwrightError('E_INVALID', `StorageClass: ${whole} stands for nothing`);
    return value;
  });
}

export function renderVolume(wish: VolumeWish, made: Volume): PersistentVolume {
  const { claim, storageClass, driver } = wish;
  const isBlock = modeOf(claim) === 'Block';
  const fsType = storageClass.parameters?.[`${reserved}fstype`];
  const own = (step: SecretStep): SecretReference | undefined => secretReference(step, wish);
  const bytes = made.capacity_bytes > 0 ? made.capacity_bytes : requestedBytes(claim);
  return {
    metadata: {
      name: volumeNameOf(claim),
      annotations: {
        [provisionedByAnnotation]: driver,
        ...secretAnnotations('provisioner-deletion', own('provisioner')),
        ...secretAnnotations('controller-modify', own('controller-modify')),
      },
      finalizers: [provisionerFinalizer],
    },
    spec: {
      accessModes: claim.spec?.accessModes,
      capacity: { storage: binarySize(bytes) },
      claimRef: {
        ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claim.metadata?.name },
        ...{ namespace: claim.metadata?.namespace, uid: claim.metadata?.uid },
      },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata?.name,
      volumeMode: modeOf(claim),
      ...(wish.attributes === undefined
        ? {}
        : { volumeAttributesClassName: claim.spec?.volumeAttributesClassName }),
      ...(isBlock || storageClass.mountOptions === undefined
        ? {}
        : { mountOptions: storageClass.mountOptions }),
      csi: {
        ...{ driver, volumeHandle: made.volume_id },
        ...(isBlock || fsType === undefined ? {} : { fsType }),
        volumeAttributes: {
          ...made.volume_context,
          'storage.kubernetes.io/csiProvisionerIdentity': `podwright-${driver}`,
        },
        controllerPublishSecretRef: own('controller-publish'),
        nodeStageSecretRef: own('node-stage'),
        nodePublishSecretRef: own('node-publish'),
        controllerExpandSecretRef: own('controller-expand'),
        nodeExpandSecretRef: own('node-expand'),
      },
      ...(made.accessible_topology.length === 0
        ? {}
        : { nodeAffinity: renderAffinity(made.accessible_topology) }),
    },
  };
}

type AnnotatedStep = 'provisioner-deletion' | 'controller-modify';
const annotatedPrefix = 'volume.kubernetes.io/';

/** Secrets that a PersistentVolume has no field for. */
function secretAnnotations(
  step: AnnotatedStep,
  secret: SecretReference | undefined,
): Readonly<Record<string, string>> {
  if (secret === undefined) return {};
  return {
    [`${annotatedPrefix}${step}-secret-name`]: secret.name ?? '',
    [`${annotatedPrefix}${step}-secret-namespace`]: secret.namespace ?? '',
  };
}

export function annotatedSecret(
  { metadata }: PersistentVolume,
  step: AnnotatedStep,
): SecretReference | undefined {
  const name = metadata?.annotations?.[`${annotatedPrefix}${step}-secret-name`];
  if (name === undefined) return undefined;
  return { name, namespace: metadata?.annotations?.[`${annotatedPrefix}${step}-secret-namespace`] };
}

function renderAffinity(
  topologies: readonly Topology[],
): NonNullable<PersistentVolume['spec']>['nodeAffinity'] {
  const nodeSelectorTerms = topologies.map(({ segments }) => ({
    matchExpressions: Object.entries(segments)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
  }));
  return { required: { nodeSelectorTerms } };
}

export interface TopologyInput {
  readonly driver: string;
  readonly storageClass: StorageClass;
  readonly nodes: readonly Node[];
  readonly csiNodes: ReadonlyMap<string, CSINode>;
  /** Chosen for the claim; undefined: any will do. */
  readonly selected: string | undefined;
}

/** Where the volume may be: all places of the driver (or of the class), the chosen node's first. @throws {E_NOT_FOUND} as sidecars say */
export function renderTopology(input: TopologyInput): Outgoing<TopologyRequirement> {
  const { driver, nodes, csiNodes, selected, storageClass } = input;
  const places = nodes.flatMap((node) => {
    const name = node.metadata?.name ?? '';
    const keys = csiNodes.get(name)?.spec.drivers?.find((one) => one.name === driver)?.topologyKeys ?? [];
    const segments = Object.fromEntries(
      keys.flatMap((key) => {
        const value = node.metadata?.labels?.[key];
        return value === undefined ? [] : [[key, value] as const];
      }),
    );
    return keys.length > 0 && Object.keys(segments).length === keys.length ? [{ name, segments }] : [];
  });
  const first = places.find(({ name }) => name === selected);
  if (selected !== undefined && first === undefined)
    throw new PodwrightError(
      'E_NOT_FOUND',
      `error generating accessibility requirements: no topology key found on CSINode ${selected}`,
    );
  const { allowedTopologies = [] } = storageClass;
  const isAllowed = (segments: Readonly<Record<string, string>>): boolean =>
    allowedTopologies.length === 0 ||
    allowedTopologies.some(({ matchLabelExpressions = [] }) =>
      matchLabelExpressions.every(({ key, values }) => values.includes(segments[key] ?? '')),
    );
  const keyOf = (segments: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(segments).toSorted());
  const distinct = new Map(
    places
      .filter(({ segments }) => isAllowed(segments))
      .map(({ segments }) => [keyOf(segments), { segments }]),
  );
  const requisite = [...distinct.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, topology]) => topology);
  const own = first === undefined ? [] : [{ segments: first.segments }];
  const others = requisite.filter(
    ({ segments }) => first === undefined || keyOf(segments) !== keyOf(first.segments),
  );
  return { requisite, preferred: [...own, ...others] };
}
