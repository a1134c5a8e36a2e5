import type { DefaultRule } from './rule.ts';

/** Defaults of the sources that volumes of pods and PersistentVolumes have alike; `holder` is what has one: `volumes[]`, `spec`. */
export function sourceRules(holder: string): readonly DefaultRule[] {
  return [
    [`${holder}.hostPath.type`, () => ''],
    [`${holder}.iscsi.iscsiInterface`, 'default'],
    [`${holder}.rbd.pool`, 'rbd'],
    [`${holder}.rbd.user`, 'admin'],
    [`${holder}.rbd.keyring`, '/etc/ceph/keyring'],
    [`${holder}.azureDisk.cachingMode`, 'ReadWrite'],
    [`${holder}.azureDisk.kind`, 'Shared'],
    [`${holder}.azureDisk.fsType`, 'ext4'],
    [`${holder}.azureDisk.readOnly`, false],
    [`${holder}.scaleIO.storageMode`, 'ThinProvisioned'],
    [`${holder}.scaleIO.fsType`, 'xfs'],
  ];
}
