import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { stringOf } from '#api/wire/json.ts';
import { classOfIp } from '#base/ip-class.ts';
import { familyOfIp } from '#base/ip.ts';

/** What is said of a text that is no address. */
export const ipText = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

/** Complaints about what must be an address, as Kubernetes writes them: without leading zeros or a zone. */
export function ipErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  return familyOfIp(text) !== undefined ? [] : [invalidField(field, value ?? '', ipText)];
}

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
