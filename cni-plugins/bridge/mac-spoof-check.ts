/** macspoofchk: what a container sends by another hardware address than its own is dropped at its port. Pure. */
import type { Masquerade } from '#cni-plugins/skel/masquerade.ts';
import type { NftElement, NftSet, NftTable } from '#native/nft/nft.ts';

/** Ports that are looked at, and which address each may send by. Before translation and all else. */
const ports: NftSet = { name: 'ports', keyTypes: ['ifname'] };
const owners: NftSet = { name: 'owners', keyTypes: ['ifname', 'ether_addr'] };
const rawPriority = -300;

/** With no port in it. */
export const macSpoofTable: NftTable = {
  family: 'bridge',
  name: 'cni-mac-spoof-check',
  sets: [owners, ports],
  chains: [
    {
      name: 'prerouting',
      hook: { type: 'filter', hook: 'prerouting', priority: rawPriority },
      rules: [
        {
          exprs: [
            { expr: 'lookup', key: [{ load: 'meta iifname' }], set: ports.name },
            {
              expr: 'lookup',
              key: [{ load: 'meta iifname' }, { load: 'ether saddr' }],
              set: owners.name,
              negate: true,
            },
            { expr: 'verdict', verdict: { kind: 'drop' } },
          ],
        },
      ],
    },
  ],
  elements: {},
};

/** The owner first: a port is not looked at before it is known whose it is. */
export function planMacSpoofCheck(port: string, mac: string): readonly Masquerade[] {
  const change = (set: NftSet, key: NftElement['key']): Masquerade => ({
    table: macSpoofTable,
    add: { op: 'addElements', table: macSpoofTable, set, elements: [{ key }] },
    remove: { op: 'removeElements', table: macSpoofTable, set, elements: [{ key }] },
  });
  return [change(owners, [port, mac]), change(ports, [port])];
}
