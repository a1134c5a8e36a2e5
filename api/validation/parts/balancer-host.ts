import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { ipErrors } from '#api/validation/address.ts';
import { stringOf } from '#api/wire/json.ts';
import { parseLegacyIp } from '#base/ip.ts';

/** Of the address that a load balancer is said to have: one. */
export function balancerIpErrors(field: string, ip: unknown): readonly FieldError[] {
  const text = stringOf(ip);
  return text === '' ? [] : ipErrors(field, text);
}

/** Of the name that it is said to have: one of DNS, and no address. */
export function balancerHostErrors(field: string, hostname: unknown): readonly FieldError[] {
  const text = stringOf(hostname);
  if (text === '') return [];
  const named = formatErrors(field, text, dnsSubdomain);
  return parseLegacyIp(text) === undefined
    ? named
    : [...named, invalidField(field, text, 'must be a DNS name, not an IP address')];
}
