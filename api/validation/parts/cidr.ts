import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { stringOf } from '#api/wire/json.ts';
import { isKeptText } from './kept-texts.ts';
import { formatCidr, isIpv4Mapped, isNetwork, parseCidr, parseLegacyCidr, type IpFamily } from '#base/ip.ts';

const cidrText = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** Complaints about what must be a network, written as all others write it (IsValidCIDR of k8s.io/apimachinery). */
export function cidrErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  const cidr = parseCidr(text);
  const detail = looseText(text);
  if (detail !== undefined) return [invalidField(field, value, detail)];
  return cidr === undefined || formatCidr(cidr) === text
    ? []
    : [invalidField(field, value, `must be in canonical form (${JSON.stringify(formatCidr(cidr))})`)];
}

/**
 * The same in a field that takes other ways to write it, if all read them alike: no leading zeros, no IPv4 inside IPv6, no bits beyond
 * the prefix but where the object had them (IsValidCIDRForLegacyField, strict; KEP-4858).
 */
export function looseCidrErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  const detail = looseText(text);
  if (detail === undefined || (parseLegacyCidr(text) !== undefined && isKeptText(text))) return [];
  return [invalidField(field, value, detail)];
}

function looseText(text: string): string | undefined {
  const cidr = parseCidr(text);
  if (cidr === undefined)
    return parseLegacyCidr(text) === undefined ? cidrText : 'must not have leading 0s in IP or prefix length';
  if (isIpv4Mapped(cidr.ip)) return 'must not have an IPv4-mapped IPv6 address';
  return isNetwork(cidr) ? undefined : 'must not have bits set beyond the prefix length';
}

/** The families of networks; undefined where one is none. */
export function familiesOf(values: readonly unknown[]): readonly IpFamily[] | undefined {
  const networks = values.map((value) => parseCidr(stringOf(value)));
  const families = networks.flatMap((network) => (network === undefined ? [] : [network.ip.family]));
  return families.length === values.length ? families : undefined;
}
