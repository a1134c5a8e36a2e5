import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { stringOf } from '#api/wire/json.ts';
import { formatCidr, isIpv4Mapped, isNetwork, parseCidr, type IpFamily } from '#base/ip.ts';

const cidrText = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** Complaints about what must be a network, written as all others write it (IsValidCIDR of k8s.io/apimachinery). */
export function cidrErrors(field: string, value: unknown): readonly FieldError[] {
  const errors = looseCidrErrors(field, value);
  const cidr = parseCidr(stringOf(value));
  if (errors.length > 0 || cidr === undefined || formatCidr(cidr) === value) return errors;
  return [invalidField(field, value, `must be in canonical form (${JSON.stringify(formatCidr(cidr))})`)];
}

/** The same in a field that takes other ways to write it (IsValidCIDRForLegacyField, strict). */
export function looseCidrErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    const isPadded = parseCidr(text.replaceAll(/(^|[./])0+(?=\d)/g, '$1')) !== undefined;
    const detail = isPadded ? 'must not have leading 0s in IP or prefix length' : cidrText;
    return [invalidField(field, value, detail)];
  }
  if (isIpv4Mapped(cidr.ip)) {
    return [invalidField(field, value, 'must not have an IPv4-mapped IPv6 address')];
  }
  return isNetwork(cidr)
    ? []
    : [invalidField(field, value, 'must not have bits set beyond the prefix length')];
}

/** The families of networks; undefined where one is none. */
export function familiesOf(values: readonly unknown[]): readonly IpFamily[] | undefined {
  const networks = values.map((value) => parseCidr(stringOf(value)));
  const families = networks.flatMap((network) => (network === undefined ? [] : [network.ip.family]));
  return families.length === values.length ? families : undefined;
}
