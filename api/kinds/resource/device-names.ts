import {
  duplicateField,
  invalidField,
  requiredField,
  tooLongField,
  tooManyField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { csiDriverNameErrors } from '#api/kinds/storage/csi-validation.ts';
import { when } from '#api/validation/field.ts';
import {
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  subdomainLengthMax,
  type Format,
} from '#api/validation/format.ts';

/** Characters of the part of a name behind its domain (DeviceMaxIDLength of kubernetes pkg/apis/resource). */
const identifierLengthMax = 32;
const identifierSyntax = '[A-Za-z_][A-Za-z0-9_]*';
const isIdentifier = new RegExp(`^${identifierSyntax}$`);
const identifierText = `a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '${identifierSyntax}')`;

/** The name of a driver is as that of a CSI driver. */
export const driverNameErrors: (name: string, field: string) => readonly FieldError[] = csiDriverNameErrors;

/** A name that must be there. */
export function neededNameErrors(name: string, field: string, format: Format): readonly FieldError[] {
  return name === '' ? [requiredField(field)] : formatErrors(field, name, format);
}

/** Names of devices, requests and counters. */
export function labelNameErrors(name: string, field: string): readonly FieldError[] {
  return formatErrors(field, name, dnsLabel);
}

/** Subdomains, with slashes between them. */
export function poolNameErrors(name: string, field: string): readonly FieldError[] {
  if (name === '') return [requiredField(field)];
  return [
    ...when(Buffer.byteLength(name) > subdomainLengthMax, () => tooLongField(field, subdomainLengthMax)),
    ...name.split('/').flatMap((part) => formatErrors(field, part, dnsSubdomain)),
  ];
}

/** An attribute or a capacity: a C identifier, with a domain before it where it is not the driver's own. */
export function qualifiedNameErrors(name: string, field: string): readonly FieldError[] {
  const [domain = '', identifier, ...more] = name.split('/');
  if (identifier === undefined) return identifierErrors(domain, field);
  if (more.length > 0) return [invalidField(field, name, 'must not contain more than one slash')];
  return [
    ...(domain === ''
      ? [invalidField(field, '', 'the domain must not be empty')]
      : driverNameErrors(domain, field)),
    ...(identifier === ''
      ? [invalidField(field, '', 'the name must not be empty')]
      : identifierErrors(identifier, field)),
  ];
}

/** The same where the domain may not be left out. */
export function fullNameErrors(name: string, field: string): readonly FieldError[] {
  const detail = 'a fully qualified name must be a domain and a name separated by a slash';
  return [
    ...qualifiedNameErrors(name, field),
    ...when(!name.includes('/'), () => invalidField(field, name, detail)),
  ];
}

function identifierErrors(text: string, field: string): readonly FieldError[] {
  return [
    ...when(Buffer.byteLength(text) > identifierLengthMax, () => tooLongField(field, identifierLengthMax)),
    ...when(!isIdentifier.test(text), () => invalidField(field, text, identifierText)),
  ];
}

/** A list that is looked at only if it is no longer than it may be. */
export function boundedErrors<T>(
  items: readonly T[],
  field: string,
  countMax: number,
  check: (item: T, path: string) => readonly FieldError[],
): readonly FieldError[] {
  if (items.length > countMax) return [tooManyField(field, items.length, countMax)];
  return items.flatMap((item, index) => check(item, `${field}[${index}]`));
}

/** Such a list in which each key stands once. */
export function boundedSetErrors<T>(
  items: readonly T[],
  {
    field,
    countMax,
    keyOf,
  }: { readonly field: string; readonly countMax: number; keyOf: (item: T) => string },
  check: (item: T, path: string) => readonly FieldError[],
): readonly FieldError[] {
  const errors = boundedErrors(items, field, countMax, check);
  return items.length > countMax ? errors : [...errors, ...repeatedKeyErrors(items.map(keyOf), field)];
}

/** Items whose key was there before; the complaint is of the item. */
export function repeatedKeyErrors(keys: readonly string[], field: string): readonly FieldError[] {
  const seen = new Set<string>();
  return keys.flatMap((key, index) => {
    const isRepeated = seen.has(key);
    seen.add(key);
    return when(isRepeated, () => duplicateField(`${field}[${index}]`, key));
  });
}
