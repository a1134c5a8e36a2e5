import type { Node, PersistentVolume } from '#api/generated/objects.ts';

/**
 * What server and agents agree on about the volumes that a node makes on its own disk (decision 0089). The server makes the
 * PersistentVolume, the agent of its node the directory; neither asks the other for more than is said here.
 */

/** The provisioner of StorageClasses whose volumes are directories of a node. */
export const localProvisioner = 'podwright.io/local';

/** The class that a new cluster has; the default one until somebody says otherwise. */
export const localClassName = 'standard';

/** Of such a volume: its node. By it the agent watches what is its own, and nothing else (a label's value, as a node's name is). */
export const volumeNodeLabel = 'podwright.io/node';

/** Of such a volume: stays until the agent of its node has taken the directory away. */
export const localVolumeFinalizer = 'podwright.io/local-volume';

/** Of a Node: the directory below which its agent makes volumes, absolute. A node without it makes none. */
export const volumesDirectoryAnnotation = 'podwright.io/volumes-directory';

/** Of a Node, and of the volumes that it makes: whether they are kept to their size, or why not. */
export const volumeSizesAnnotation = 'podwright.io/volume-sizes';

/** Where a node makes volumes; undefined: nowhere. */
export function volumesDirectoryOf(node: Node): string | undefined {
  const directory = node.metadata?.annotations?.[volumesDirectoryAnnotation];
  return directory?.startsWith('/') === true ? directory : undefined;
}

/** Which node made the volume, or is to make it; undefined: it is none of these. */
export function localVolumeNode({ metadata, spec }: PersistentVolume): string | undefined {
  const isOurs =
    metadata?.annotations?.['pv.kubernetes.io/provisioned-by'] === localProvisioner &&
    spec?.local !== undefined;
  return isOurs ? metadata?.labels?.[volumeNodeLabel] : undefined;
}
