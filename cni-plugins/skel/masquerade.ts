import { createHash } from 'node:crypto';
import type { CniIp } from '#api/cni/result.ts';
import { formatIp, parseCidr } from '#base/ip.ts';
import type { NftElement, NftOp, NftSet, NftTable, TableRef } from '#native/nft/nft.ts';

/** What one container, or one address of it, needs in a table that it shares with others. */
export interface Masquerade {
  /** The table with nobody in it. */
  readonly table: NftTable;
  readonly add: NftOp;
  readonly remove: NftOp;
}

const families = {
  4: { family: 'ip', type: 'ipv4_addr', source: 'ip saddr', target: 'ip daddr', multicast: '224.0.0.0/4' },
  6: { family: 'ip6', type: 'ipv6_addr', source: 'ip6 saddr', target: 'ip6 daddr', multicast: 'ff00::/8' },
} as const;

/**
 * ipMasq: what a container sends through another interface than `bridge`, or without one to another address than those of the
 * network's containers, leaves with the host's address. Pure.
 */
export function planMasquerade(
  network: string,
  bridge: string | undefined,
  ips: readonly CniIp[],
): readonly Masquerade[] {
  return ips.flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    if (ip === undefined) return [];
    const facts = families[ip.family];
    const set: NftSet = { name: 'containers', keyTypes: [facts.type] };
    const table: NftTable = {
      family: facts.family,
      name: tableName(network),
      sets: [set],
      chains: [
        {
          name: 'postrouting',
          hook: { type: 'nat', hook: 'postrouting', priority: 100 },
          rules: [
            {
              comment: `network ${network}`.slice(0, 100),
              exprs: [
                { expr: 'lookup', key: [{ load: facts.source }], set: set.name },
                bridge === undefined
                  ? { expr: 'lookup', key: [{ load: facts.target }], set: set.name, negate: true }
                  : { expr: 'match', left: { load: 'meta oifname' }, op: '!=', right: bridge },
                { expr: 'match', left: { load: facts.target }, op: '!=', right: facts.multicast },
                { expr: 'masquerade' },
              ],
            },
          ],
        },
      ],
      elements: {},
    };
    const elements: readonly NftElement[] = [{ key: [formatIp(ip)] }];
    return [
      {
        table,
        add: { op: 'addElements', table, set, elements },
        remove: { op: 'removeElements', table, set, elements },
      },
    ];
  });
}

/** Those of a network, whether any container has been in it or not. */
export function masqueradeTables(network: string): readonly TableRef[] {
  return [families[4], families[6]].map(({ family }) => ({ family, name: tableName(network) }));
}

const tableName = (network: string): string => `cni-masq-${digest(network)}`;

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
