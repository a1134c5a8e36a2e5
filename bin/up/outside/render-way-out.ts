import type { NftRule, NftTable } from '#native/nft/nft.ts';

export interface WayOut {
  /** The link by which the nodes come. */
  readonly link: string;
  /** Networks that are the cluster's own: what goes there goes as it is. */
  readonly ownCidrs: readonly string[];
  /** Where the launcher takes connections over, on this link. */
  readonly port: number;
}

const wayOutTable = { family: 'ip', name: 'podwright-outside' } as const;

/** Nobody listens there (tcpmux): a datagram that is sent there is refused at once. */
const refusedPort = 1;

/**
 * TCP that would leave the cluster comes to the launcher. There is no way out for datagrams: they are refused, so that who tries them
 * first, as QUIC does, takes TCP at once. Pure.
 */
export function renderWayOut({ link, ownCidrs, port }: WayOut): NftTable {
  const leaves = (protocol: number, to: number): NftRule => ({
    exprs: [
      { expr: 'match', left: { load: 'meta iifname' }, op: '==', right: link },
      { expr: 'lookup', key: [{ load: 'ip daddr' }], set: 'own', negate: true },
      { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: protocol },
      { expr: 'redirect', port: to },
    ],
  });
  return {
    ...wayOutTable,
    sets: [{ name: 'own', keyTypes: ['ipv4_addr'], interval: true }],
    chains: [
      {
        name: 'prerouting',
        hook: { type: 'nat', hook: 'prerouting', priority: -100 },
        rules: [leaves(6, port), leaves(17, refusedPort)],
      },
    ],
    elements: { own: [...ownCidrs, '224.0.0.0/4'].map((cidr) => ({ key: [cidr] })) },
  };
}
