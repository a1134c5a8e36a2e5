import type { PersistentVolume } from '#api/generated/objects.ts';

/** Who mounts the volume, by the names of Kubernetes' plugins (GetFullQualifiedPluginNameForVolume); undefined: nobody has its source any more. */
export function pluginOfVolume({ spec }: PersistentVolume): string | undefined {
  if (spec?.csi !== undefined) return csiPlugin(spec.csi.driver);
  return plugins.find(([field]) => spec?.[field] !== undefined)?.[1];
}

export function csiPlugin(driver: string): string {
  return `kubernetes.io/csi:${driver}`;
}

const plugins = [
  ['nfs', 'kubernetes.io/nfs'],
  ['local', 'kubernetes.io/local-volume'],
  ['hostPath', 'kubernetes.io/host-path'],
  ['iscsi', 'kubernetes.io/iscsi'],
  ['fc', 'kubernetes.io/fc'],
] as const satisfies readonly (readonly [keyof NonNullable<PersistentVolume['spec']>, string])[];
