import { parseCidr, parseIp } from '#base/ip.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { isDuration } from './format-duration.ts';
import { isEmail, isRequestUri } from './format-address.ts';
import { findsPattern } from './pattern.ts';

/** Whether a text is of a format. */
export type TextCheck = (text: string) => boolean;

const hex = (count: number): string => `[0-9a-f]{${count}}`;

function uuid(third: string, fourth: string): TextCheck {
  return matching(new RegExp(`^${hex(8)}-?${hex(4)}-?${third}-?${fourth}-?${hex(12)}$`, 'i'));
}

/** Texts longer than any that could match are not looked at; the patterns cannot be led astray before that. */
const textLengthMax = 4096;

function matching(pattern: RegExp): TextCheck {
  return (text) => text.length <= textLengthMax && pattern.test(text);
}

// k8s.io/kube-openapi pkg/validation/strfmt: labels of letters, digits, symbols; RE2, for it repeats within repeats.
const hostname = String.raw`^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z0-9\p{S}\p{L}])(-?[a-zA-Z0-9\p{S}\p{L}]){1,62})$`;

const isBase64Block = /^(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;
const channel = String.raw`\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*`;

/**
 * The formats of texts that kube-apiserver checks, by their names without dashes (apiextensions-apiserver pkg/apiserver/validation
 * formats.go, with the registry of kube-openapi's strfmt).
 */
export const formatChecks: ReadonlyMap<string, TextCheck> = new Map([
  ['bsonobjectid', matching(/^[0-9a-f]{24}$/i)],
  ['uri', isRequestUri],
  ['email', isEmail],
  ['hostname', isHostname],
  ['ipv4', (text) => text.includes('.') && parseIp(text) !== undefined],
  ['ipv6', (text) => text.includes(':') && parseIp(text) !== undefined],
  ['cidr', (text) => parseCidr(text) !== undefined],
  ['mac', isMac],
  ['uuid', uuid(hex(4), hex(4))],
  ['uuid3', uuid(`3${hex(3)}`, hex(4))],
  ['uuid4', uuid(`4${hex(3)}`, `[89ab]${hex(3)}`)],
  ['uuid5', uuid(`5${hex(3)}`, `[89ab]${hex(3)}`)],
  ['isbn', (text) => isIsbn10(text) || isIsbn13(text)],
  ['isbn10', isIsbn10],
  ['isbn13', isIsbn13],
  ['creditcard', isCreditCard],
  ['ssn', matching(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/)],
  ['hexcolor', matching(/^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/)],
  ['rgbcolor', matching(new RegExp(String.raw`^rgb\(${channel},${channel},${channel}\)$`))],
  ['byte', isBase64],
  ['password', () => true],
  ['date', isDate],
  ['duration', isDuration],
  ['datetime', isDateTime],
  ['quantity', (text) => tryParseQuantity(text) !== undefined],
  ['k8sshortname', matching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)],
  ['k8slongname', (text) => dnsSubdomain(text).length === 0],
]);

/** Whether kube-apiserver checks a format of the type; of others it warns. */
export function isKnownFormat(format: string, type: string): boolean {
  if (type === 'integer') return format === 'int32' || format === 'int64';
  if (type === 'number') return format === 'float' || format === 'double';
  return (type === '' || type === 'string') && formatChecks.has(format.replaceAll('-', ''));
}

function isHostname(text: string): boolean {
  if (Buffer.byteLength(text) > 255 || !findsPattern(hostname, text)) return false;
  return text.split('.').every((label) => Buffer.byteLength(label) <= 63);
}

/** 6, 8 or 20 bytes by colons or dashes, or in groups of two bytes by dots (Go's net.ParseMAC). */
function isMac(text: string): boolean {
  if (text.length > 64) return false;
  const byDots = /^[0-9a-f]{4}(\.[0-9a-f]{4})+$/i.test(text);
  const isUniform = byDots || /^[0-9a-f]{2}((:[0-9a-f]{2})+|(-[0-9a-f]{2})+)$/i.test(text);
  return isUniform && [6, 8, 20].includes(text.replaceAll(/[^0-9a-f]/gi, '').length / 2);
}

function isBase64(text: string): boolean {
  if (text.length === 0 || text.length % 4 !== 0) return false;
  const last = text.slice(-4);
  return isBase64Block.test(last) && !/[^A-Za-z0-9+/]/.test(text.slice(0, -4));
}

/** RFC 3339 full-date, of a day that there is. */
function isDate(text: string): boolean {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (found === null) return false;
  const [year, month, day] = found.slice(1).map(Number) as [number, number, number];
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return month >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function isDateTime(text: string): boolean {
  if (text.length > textLengthMax) return false;
  const [date = '', time = ''] = text.toLowerCase().split('t');
  const found = /^(\d{2}):(\d{2}):(\d{2})(.\d+)?(z|[+-]\d{2}:\d{2})$/.exec(time);
  if (found === null || !isDate(date)) return false;
  const [, hours = '', minutes = '', seconds = ''] = found;
  return hours <= '23' && minutes <= '59' && seconds <= '59';
}

function isIsbn10(text: string): boolean {
  const digits = text.slice(0, 64).replaceAll(/[\s-]/g, '');
  if (text.length > 64 || !/^\d{9}[\dX]$/.test(digits)) return false;
  const values = [...digits].map((digit) => (digit === 'X' ? 10 : Number(digit)));
  return sum(values.map((value, index) => value * (index + 1))) % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.slice(0, 64).replaceAll(/[\s-]/g, '');
  if (text.length > 64 || !/^\d{13}$/.test(digits)) return false;
  return sum([...digits].map((digit, index) => Number(digit) * (index % 2 === 0 ? 1 : 3))) % 10 === 0;
}

const cardNumber =
  /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/;

/** What stands between the digits does not count; the last digit is Luhn's. */
function isCreditCard(text: string): boolean {
  const digits = text.slice(0, textLengthMax).replaceAll(/\D/g, '');
  if (!cardNumber.test(digits)) return false;
  const values = [...digits].toReversed().map((digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    return value > 9 ? value - 9 : value;
  });
  return sum(values) % 10 === 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
