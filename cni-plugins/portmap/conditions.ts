/**
 * `conditionsV4` and `conditionsV6`: which packets the host's ports are led on for, in the words of iptables or of nft. Addresses and the
 * interface that a packet comes by can be said; all else is refused, as a port that is open to more than it shall be is worse than none. Pure.
 */
import { createHash } from 'node:crypto';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { bitsOf, formatCidr, formatIp, networkOf, parseCidr, type IpFamily } from '#base/ip.ts';
import type { NftExpr, NftLoad } from '#native/nft/nft.ts';

/** What packets of each family have to be, all of it; none: whatever they are. */
export type PortConditions = Readonly<Record<IpFamily, readonly NftExpr[]>>;

export const noConditions: PortConditions = { 4: [], 6: [] };

const fields = { 4: 'conditionsV4', 6: 'conditionsV6' } as const;

/** In whose words an array is. */
type Vocabulary = 'iptables' | 'nftables';

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseConditions(config: PluginConfig): PortConditions {
  return { 4: parseFamily(config, 4), 6: parseFamily(config, 6) };
}

/** A name for tables of these conditions; '' for none. */
export function conditionsDigest(conditions: readonly NftExpr[]): string {
  if (conditions.length === 0) return '';
  return createHash('sha256').update(JSON.stringify(conditions)).digest('hex').slice(0, 12);
}

function parseFamily(config: PluginConfig, family: IpFamily): readonly NftExpr[] {
  const name = fields[family];
  const words = field
    .strings(config, name)
    .flatMap((text) => text.split(/\s+/).filter((word) => word !== ''));
  const [first] = words;
  if (first === undefined) return [];
  const vocabulary: Vocabulary = /^[-!]/.test(first) ? 'iptables' : 'nftables';
  const backend = field.string(config, 'backend') || vocabulary;
  if (backend === 'nftables' && vocabulary !== backend)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `portmap: ${name} is in the words of ${vocabulary}, and backend is ${backend}`,
    );
  const exprs: NftExpr[] = [];
  for (let rest: readonly string[] = words; rest.length > 0;) {
    const taken = vocabulary === 'iptables' ? takeOption(rest, family) : takeMatch(rest, family);
    if (taken === undefined)
      throw cniError(
        cniErrorCode.unsupportedField,
        `portmap: ${name}: ${JSON.stringify(rest.join(' '))} is not supported, only one address or network ` +
          '(-s, -d; ip saddr, ip daddr; ip6) and one interface (-i; iifname) are',
      );
    exprs.push(taken.expr);
    rest = rest.slice(taken.count);
  }
  return exprs;
}

interface Taken {
  readonly expr: NftExpr;
  /** Of words. */
  readonly count: number;
}

const options: ReadonlyMap<string, 'saddr' | 'daddr' | 'iifname'> = new Map([
  ...(['-s', '--src', '--source'] as const).map((name) => [name, 'saddr'] as const),
  ...(['-d', '--dst', '--destination'] as const).map((name) => [name, 'daddr'] as const),
  ...(['-i', '--in-interface'] as const).map((name) => [name, 'iifname'] as const),
]);

/** `! -d 192.0.2.0/24`; iptables(8). */
function takeOption(words: readonly string[], family: IpFamily): Taken | undefined {
  const isNegated = words[0] === '!';
  const [option = '', value = ''] = isNegated ? words.slice(1) : words;
  const what = options.get(option);
  const expr = what && matchOf(what, { isNegated, value, family });
  return expr && { expr, count: isNegated ? 3 : 2 };
}

/** `ip daddr != 192.0.2.0/24`, `iifname "eth0"`; nft(8). */
function takeMatch(words: readonly string[], family: IpFamily): Taken | undefined {
  const prefix = { 4: 'ip', 6: 'ip6' }[family];
  const [first, second] = words;
  const [what, skipped] =
    first === prefix && (second === 'saddr' || second === 'daddr')
      ? ([second, 2] as const)
      : first === 'meta' && second === 'iifname'
        ? (['iifname', 2] as const)
        : first === 'iifname'
          ? (['iifname', 1] as const)
          : [undefined, 0];
  const operator = words[skipped] ?? '';
  const isSaid = ['==', 'eq', '!=', 'ne'].includes(operator);
  const at = skipped + (isSaid ? 1 : 0);
  const value = (words[at] ?? '').replace(/^"(.*)"$/, '$1');
  const expr = what && matchOf(what, { isNegated: operator === '!=' || operator === 'ne', value, family });
  return expr && { expr, count: at + 1 };
}

function matchOf(
  what: 'saddr' | 'daddr' | 'iifname',
  {
    isNegated,
    value,
    family,
  }: { readonly isNegated: boolean; readonly value: string; readonly family: IpFamily },
): NftExpr | undefined {
  const right = what === 'iifname' ? interfaceName(value) : network(value, family);
  if (right === undefined) return undefined;
  const left: NftLoad = what === 'iifname' ? { load: 'meta iifname' } : { load: addressLoads[family][what] };
  return { expr: 'match', left, op: isNegated ? '!=' : '==', right };
}

const addressLoads = {
  4: { saddr: 'ip saddr', daddr: 'ip daddr' },
  6: { saddr: 'ip6 saddr', daddr: 'ip6 daddr' },
} as const;

/** What ends in `+` or `*` stands for several. */
function interfaceName(text: string): string | undefined {
  return /^[^-!/:\s+*"{}][^/:\s+*"{}]{0,14}$/.test(text) ? text : undefined;
}

function network(text: string, family: IpFamily): string | undefined {
  const cidr = parseCidr(text.includes('/') ? text : `${text}/${bitsOf(family)}`);
  if (cidr === undefined || cidr.ip.family !== family || cidr.prefix === 0) return undefined;
  return cidr.prefix === bitsOf(family) ? formatIp(cidr.ip) : formatCidr(networkOf(cidr));
}
