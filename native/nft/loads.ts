/** What each load of the port reads, and of which type it is. */
import { bytesOfIp, maskIp } from '#base/ip.ts';
import type { NftExpr, NftLoad, NftRule } from './nft.ts';
import * as nft from './nftables-constants.ts';
import type { ValueType } from './values.ts';

export type LoadFacts =
  | {
      readonly kind: 'payload';
      readonly type: ValueType;
      readonly base: number;
      readonly offset: number; // bytes into the header
      readonly network?: 'ip' | 'ip6'; // whose header it is
    }
  | { readonly kind: 'meta' | 'ct' | 'numgen'; readonly type: ValueType; readonly key: number }
  | { readonly kind: 'fib'; readonly type: ValueType };

const linkHeader = { kind: 'payload', base: nft.NFT_PAYLOAD_LL_HEADER } as const;
const networkHeader = { kind: 'payload', base: nft.NFT_PAYLOAD_NETWORK_HEADER } as const;
const transportHeader = { kind: 'payload', base: nft.NFT_PAYLOAD_TRANSPORT_HEADER } as const;

/** Offsets: RFC 791 section 3.1, RFC 8200 section 3; the ports come first in TCP, UDP and SCTP alike. */
const factsByLoad: Readonly<Record<NftLoad['load'], LoadFacts>> = {
  'ether saddr': { ...linkHeader, type: 'ether_addr', offset: 6 },
  'ip saddr': { ...networkHeader, type: 'ipv4_addr', offset: 12, network: 'ip' },
  'ip daddr': { ...networkHeader, type: 'ipv4_addr', offset: 16, network: 'ip' },
  'ip protocol': { ...networkHeader, type: 'inet_proto', offset: 9, network: 'ip' },
  'ip6 saddr': { ...networkHeader, type: 'ipv6_addr', offset: 8, network: 'ip6' },
  'ip6 daddr': { ...networkHeader, type: 'ipv6_addr', offset: 24, network: 'ip6' },
  'th sport': { ...transportHeader, type: 'inet_service', offset: 0 },
  'th dport': { ...transportHeader, type: 'inet_service', offset: 2 },
  // RFC 9293 section 3.1
  'tcp flags': { ...transportHeader, type: 'tcp_flag', offset: 13 },
  'meta l4proto': { kind: 'meta', type: 'inet_proto', key: nft.NFT_META_L4PROTO },
  'meta mark': { kind: 'meta', type: 'mark', key: nft.NFT_META_MARK },
  'meta iifname': { kind: 'meta', type: 'ifname', key: nft.NFT_META_IIFNAME },
  'meta oifname': { kind: 'meta', type: 'ifname', key: nft.NFT_META_OIFNAME },
  'ct state': { kind: 'ct', type: 'ct_state', key: nft.NFT_CT_STATE },
  'ct mark': { kind: 'ct', type: 'mark', key: nft.NFT_CT_MARK },
  'ct status': { kind: 'ct', type: 'ct_status', key: nft.NFT_CT_STATUS },
  'fib daddr type': { kind: 'fib', type: 'fib_addrtype' },
  'numgen random': { kind: 'numgen', type: 'integer', key: nft.NFT_NG_RANDOM },
  'numgen inc': { kind: 'numgen', type: 'integer', key: nft.NFT_NG_INCREMENTAL },
};

export function loadFacts(load: NftLoad): LoadFacts {
  return factsByLoad[load.load];
}

/** The first `length` bits set, of an address of so many bytes. */
export function prefixMask(bytes: number, length: number): Buffer {
  return Buffer.from(bytesOfIp(maskIp(bytes === 4 ? 4 : 6, length)).buffer);
}

/** A rule as the kernel takes it: its `reject`, if it has one, is either for TCP or for the rest. */
export interface PlainRule extends NftRule {
  readonly rejectsTcp: boolean;
}

const isTcp: NftExpr = { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: 'tcp' };

/**
 * The kernel's `reject` answers with a TCP reset or with an ICMP message, not with what fits the packet. A rule that rejects
 * any protocol becomes two: TCP, then the rest.
 */
export function splitReject(rule: NftRule): readonly PlainRule[] {
  const at = rule.exprs.findIndex((expr) => expr.expr === 'reject');
  if (at < 0) return [{ ...rule, rejectsTcp: false }];
  const protocol = matchedProtocol(rule.exprs.slice(0, at));
  if (protocol !== undefined) return [{ ...rule, rejectsTcp: protocol === 'tcp' || protocol === 6 }];
  const tcp = [...rule.exprs.slice(0, at), isTcp, ...rule.exprs.slice(at)];
  return [
    { ...rule, exprs: tcp, rejectsTcp: true },
    { ...rule, rejectsTcp: false },
  ];
}

/** How many rules of the kernel a rule is. */
export const kernelRuleCount = (rule: NftRule): number => splitReject(rule).length;

function matchedProtocol(exprs: readonly NftExpr[]): string | number | undefined {
  for (const expr of exprs) {
    if (expr.expr !== 'match' || expr.op !== '==') continue;
    if (expr.left.load === 'meta l4proto' || expr.left.load === 'ip protocol') return expr.right;
  }
  return undefined;
}
