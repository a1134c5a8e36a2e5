import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/**
 * The formats of names and values, as functions from text to complaints (none: valid). Texts are those of
 * k8s.io/apimachinery util/validation.
 */
export type Format = (text: string) => readonly string[];

const label1123 = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain1123 = String.raw`${label1123}(\.${label1123})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const underscoredLabel = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const underscored = String.raw`${underscoredLabel}(\.${underscoredLabel})*`;
const qualifiedPart = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValueSyntax = `(${qualifiedPart})?`;
const configKeySyntax = '[-._a-zA-Z0-9]+';

const isLabel1123 = whole(label1123);
const isLabel1035 = whole(label1035);
const isSubdomain1123 = whole(subdomain1123);
const wildcard1123 = String.raw`\*\.${subdomain1123}`;
const isWildcard = whole(wildcard1123);
const isUnderscored = whole(underscored);
const isQualifiedPart = whole(qualifiedPart);
const isLabelValue = whole(labelValueSyntax);
const isConfigKey = whole(configKeySyntax);

const label1123Text = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label1123}')`;
const label1035Text = `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${label1035}')`;
const subdomain1123Text = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain1123}')`;
const wildcardText = `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '${wildcard1123}')`;
const underscoredText = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${underscored}')`;
const qualifiedText = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualifiedPart}')`;
const labelValueText = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValueSyntax}')`;
const configKeyText = `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${configKeySyntax}')`;

/** Bytes of a DNS label and of a label value. */
export const labelLengthMax = 63;
/** Bytes of a DNS subdomain. */
export const subdomainLengthMax = 253;

/** RFC 1123 label: containers, namespaces, volumes. */
export const dnsLabel: Format = (text) => [
  ...tooLong(text, labelLengthMax),
  ...(isLabel1123(text) ? [] : [label1123Text]),
];

/** RFC 1035 label, which begins with a letter: versions of APIs, kinds in lower case. */
export const dns1035Label: Format = (text) => [
  ...tooLong(text, labelLengthMax),
  ...(isLabel1035(text) ? [] : [label1035Text]),
];

/** RFC 1123 subdomain: the name of most objects. */
export const dnsSubdomain: Format = (text) => [
  ...tooLong(text, subdomainLengthMax),
  ...(isSubdomain1123(text) ? [] : [subdomain1123Text]),
];

/** `*.` and a subdomain. */
export const wildcardSubdomain: Format = (text) => [
  ...tooLong(text, subdomainLengthMax),
  ...(isWildcard(text) ? [] : [wildcardText]),
];

/** RFC 1123 subdomain whose labels may have underscores, as names of services in DNS do (RFC 2782). */
export const dnsSubdomainWithUnderscore: Format = (text) => [
  ...tooLong(text, subdomainLengthMax),
  ...(isUnderscored(text) ? [] : [underscoredText]),
];

/** What can be one segment of a URL path: names of RBAC objects. */
export const pathSegment: Format = (text) => {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  return ['/', '%'].filter((char) => text.includes(char)).map((char) => `may not contain '${char}'`);
};

/** `[prefix/]name`: keys of labels and annotations, finalizers, resource names. */
export const qualifiedName: Format = (text) => {
  const parts = text.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name ${qualifiedText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const [prefix, name = ''] = parts.length === 2 ? parts : [undefined, parts[0]];
  return [...(prefix === undefined ? [] : prefixErrors(prefix)), ...namePartErrors(name)];
};

/** The value of a label. */
export const labelValue: Format = (text) => [
  ...tooLong(text, labelLengthMax),
  ...(isLabelValue(text) ? [] : [labelValueText]),
];

/** Keys of ConfigMaps and Secrets. */
export const configKey: Format = (text) => {
  if (text === '.' || text === '..') return [`must not be '${text}'`];
  if (text.startsWith('..')) return ["must not start with '..'"];
  return [...tooLong(text, subdomainLengthMax), ...(isConfigKey(text) ? [] : [configKeyText])];
};

/** Names of environment variables since KEP-4369. */
export const envName: Format = (text) =>
  /^[ -<>-~]+$/.test(text)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];

/** Name of a header of HTTP. */
export const headerName: Format = (text) =>
  /^[-A-Za-z0-9]+$/.test(text)
    ? []
    : [
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
      ];

/** IANA service name: names of container ports. */
export const portName: Format = (text) => [
  ...(text.length > 15 ? ['must be no more than 15 characters'] : []),
  ...(/^[-a-z0-9]+$/.test(text)
    ? []
    : ["must contain only alpha-numeric characters (a-z, 0-9), and hyphens ('-')"]),
  ...(/[a-z]/.test(text) ? [] : ['must contain at least one letter (a-z)']),
  ...(text.includes('--') ? ['must not contain consecutive hyphens'] : []),
  ...(text.startsWith('-') || text.endsWith('-') ? ['must not begin or end with a hyphen'] : []),
];

/** What is said of a number that is no port. */
export const portNumberText = 'must be between 1 and 65535, inclusive';

/** Whether the value is a port number. */
export function isPortNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function prefixErrors(prefix: string): readonly string[] {
  if (prefix === '') return ['prefix part must be non-empty'];
  return dnsSubdomain(prefix).map((error) => `prefix part ${error}`);
}

function namePartErrors(name: string): readonly string[] {
  if (name === '') return ['name part must be non-empty', `name part ${qualifiedText}`];
  const long = tooLong(name, labelLengthMax).map((error) => `name part ${error}`);
  return [...long, ...(isQualifiedPart(name) ? [] : [`name part ${qualifiedText}`])];
}

function tooLong(text: string, lengthMax: number): readonly string[] {
  if (text.length * 3 <= lengthMax) return []; // No unit of UTF-16 takes more bytes.
  return Buffer.byteLength(text) > lengthMax ? [`must be no more than ${lengthMax} bytes`] : [];
}

/** Characters of a text whose syntax is looked at. */
const syntaxLengthMax = 65_536;

function whole(syntax: string): (text: string) => boolean {
  const pattern = new RegExp(`^${syntax}$`);
  // A text beyond all limits is told to be too long; what it consists of would be looked for too long.
  return (text) => text.length > syntaxLengthMax || pattern.test(text);
}

/** The complaints of a format as errors of a field. */
export function formatErrors(field: string, text: string, format: Format): readonly FieldError[] {
  return format(text).map((detail) => invalidField(field, text, detail));
}

// Characters of a path by RFC 3986 section 3.3, and the slash.
const httpPathSyntax = String.raw`[A-Za-z0-9/\-._~%!$&'()*+,;=:]+`;
const isHttpPath = whole(httpPathSyntax);

/** `acme.io/foo`: a subdomain, and a path below it (IsDomainPrefixedPath). What is wrong is said of the part that is. */
export function domainPrefixedPathErrors(field: string, text: string): readonly FieldError[] {
  if (text === '') return [requiredField(field)];
  const [domain = '', ...segments] = text.split('/');
  const path = segments.join('/');
  if (domain === '' || path === '') {
    return [invalidField(field, text, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const detail = `Invalid path (regex used for validation is '${httpPathSyntax}')`;
  return [
    ...formatErrors(field, domain, dnsSubdomain),
    ...(isHttpPath(path) ? [] : [invalidField(field, path, detail)]),
  ];
}

/** A required text of some format. */
export function requiredText(
  object: JsonObject,
  field: string,
  path: string,
  format?: Format,
): readonly FieldError[] {
  const text = stringOf(object[field]);
  const name = path === '' ? field : `${path}.${field}`;
  if (text === '') return [requiredField(name)];
  return format === undefined ? [] : formatErrors(name, text, format);
}
