import type { NftChain, NftExpr, NftLoad, NftRule } from './nft.ts';

/*
 * What keeps 127.0.0.0/8 on its host where the kernel is told (by route_localnet of an interface) that packets of it may go elsewhere:
 * host ports on loopback need that, and neighbours on the same wire must have nothing of it (CVE-2020-8558).
 */

export const loopbackNetwork = '127.0.0.0/8';

const fromElsewhere: NftExpr = { expr: 'match', left: { load: 'meta iifname' }, op: '!=', right: 'lo' };
const drop: NftExpr = { expr: 'verdict', verdict: { kind: 'drop' } };

function isLoopback(left: NftLoad): NftExpr {
  return { expr: 'match', left, op: '==', right: loopbackNetwork };
}

/**
 * Before connection tracking (priority raw): what comes with such an address over any other interface than lo. An answer to a packet
 * that was translated has the host's own address here, and gets that of loopback only afterwards.
 */
export const loopbackGuard: NftChain & { readonly rules: readonly NftRule[] } = {
  name: 'loopback-guard',
  hook: { type: 'filter', hook: 'prerouting', priority: -300 },
  rules: [
    { exprs: [fromElsewhere, isLoopback({ load: 'ip daddr' }), drop] },
    { exprs: [fromElsewhere, isLoopback({ load: 'ip saddr' }), drop] },
  ],
};

const toElsewhere: NftExpr = { expr: 'match', left: { load: 'meta oifname' }, op: '!=', right: 'lo' };

/** What a host port led away leaves with the host's address. */
export const loopbackMasquerade: NftChain & { readonly rules: readonly NftRule[] } = {
  name: 'loopback-masquerade',
  hook: { type: 'nat', hook: 'postrouting', priority: 100 },
  rules: [
    {
      exprs: [
        toElsewhere,
        isLoopback({ load: 'ip saddr' }),
        { expr: 'match', left: { load: 'ct status' }, op: '==', right: 'dnat' },
        { expr: 'masquerade' },
      ],
    },
  ],
};

/** After it: nothing else of loopback leaves the host, as without route_localnet. */
export const loopbackStays: NftChain & { readonly rules: readonly NftRule[] } = {
  name: 'loopback-stays',
  hook: { type: 'filter', hook: 'postrouting', priority: 300 },
  rules: [{ exprs: [toElsewhere, isLoopback({ load: 'ip saddr' }), drop] }],
};
