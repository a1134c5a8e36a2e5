/** Tables that our plugins share among a network's containers: they stay, empty, when the last of those is gone. Pure. */
import type { NetworkConfigList } from '#api/cni/network-config.ts';
import type { TableRef } from '#native/nft/nft.ts';
import { macSpoofTable } from './bridge/mac-spoof-check.ts';
import { madePortRule, portmapTable } from './portmap/plan.ts';
import { masqueradeTables } from './skel/masquerade.ts';

/** Of one network, in no order and each once: whichever of them were ever made. */
export function tablesOf({ name, plugins }: NetworkConfigList): readonly TableRef[] {
  const tables = plugins.flatMap((config): readonly TableRef[] => {
    if (config['macspoofchk'] === true) return [macSpoofTable];
    const rule = config.type === 'portmap' ? madePortRule(config) : undefined;
    if (rule === undefined) return [];
    return ([4, 6] as const).map((family) => portmapTable(family, rule.conditions[family]));
  });
  const refs = [...masqueradeTables(name), ...tables].map(({ family, name: table }) => ({
    family,
    name: table,
  }));
  return refs.filter(
    (ref, index) => refs.findIndex((each) => each.family === ref.family && each.name === ref.name) === index,
  );
}
