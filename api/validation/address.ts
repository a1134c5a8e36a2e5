import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { stringOf } from '#api/wire/json.ts';
import { classOfIp } from '#base/ip-class.ts';
import { formatIp, isIpv4Mapped, parseIp, parseLegacyIp } from '#base/ip.ts';
import type { Format } from './format.ts';
import { isKeptText } from './parts/kept-texts.ts';

/** What is said of a text that is no address. */
export const ipText = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

/**
 * Complaints about what must be an address, in any way to write it that all read alike: no leading zeros, no zone, no IPv4 inside IPv6
 * but where the object had it (IsValidIPForLegacyField, strict; KEP-4858).
 */
export function ipErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  if (parseLegacyIp(text) === undefined) return [invalidField(field, value ?? '', ipText)];
  return looseIpErrors(field, text);
}

/** The same of what was read as an address before 1.36: what of it some read otherwise. */
export function looseIpErrors(field: string, text: string): readonly FieldError[] {
  const detail = looseText(text);
  return detail === undefined || isKeptText(text) ? [] : [invalidField(field, text, detail)];
}

function looseText(text: string): string | undefined {
  const ip = parseIp(text);
  if (ip === undefined) return 'must not have leading 0s';
  return isIpv4Mapped(ip) ? 'must not be an IPv4-mapped IPv6 address' : undefined;
}

/** What an address is that is written as all others write it (IsValidIP of k8s.io/apimachinery). */
export const canonicalIp: Format = (text) => {
  if (parseLegacyIp(text) === undefined) return [ipText];
  const loose = looseText(text);
  if (loose !== undefined) return [loose];
  const ip = parseIp(text);
  return ip === undefined || formatIp(ip) === text
    ? []
    : [`must be in canonical form (${JSON.stringify(formatIp(ip))})`];
};

/**
 * Complaints about the address of an endpoint, or one by which a Service is reached: what is special there would lead to the
 * node itself, or to what only its own link may reach (ValidateEndpointIP).
 */
export function endpointIpErrors(field: string, value: unknown): readonly FieldError[] {
  const errors = ipErrors(field, value);
  if (errors.length > 0) return errors;
  const detail = specialText(stringOf(value));
  return detail === undefined ? [] : [invalidField(field, value, detail)];
}

function specialText(address: string): string | undefined {
  const ipClass = classOfIp(address);
  switch (ipClass) {
    case 'unspecified':
      return `may not be unspecified (${address})`;
    case 'loopback':
      return 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
    case 'link-local':
      return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
    case 'link-local multicast':
      return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
    default:
      return undefined;
  }
}
