import {
  dns1035Label,
  dnsLabel,
  dnsSubdomain,
  labelValue,
  qualifiedName,
  type Format,
} from '#api/validation/format.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { formatChecks } from '#api/structural/formats.ts';
import { Fault, none, Opaque, Optional, type Value } from '#api/cel/eval/values.ts';
import { patternCost } from './costs.ts';

class FormatValue extends Opaque {
  readonly typeName = 'kubernetes.NamedFormat';
  readonly name: string;
  readonly format: Format;

  constructor(name: string, format: Format) {
    super();
    this.name = name;
    this.format = format;
  }

  equals(other: Opaque): boolean {
    return other instanceof FormatValue && other.name === this.name;
  }
}

/** A format of schemas, in the words of this library. */
const ofSchemas =
  (name: string, message: string): Format =>
  (text) =>
    formatChecks.get(name)?.(text) === true ? [] : [message];
const prefixOf =
  (format: Format): Format =>
  (text) =>
    format(text.endsWith('-') ? `${text}a` : text);

const formats: Readonly<Record<string, Format>> = {
  dns1123Label: dnsLabel,
  dns1123Subdomain: dnsSubdomain,
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: prefixOf(dnsLabel),
  dns1123SubdomainPrefix: prefixOf(dnsSubdomain),
  dns1035LabelPrefix: prefixOf(dns1035Label),
  labelValue,
  uri: (text) =>
    formatChecks.get('uri')?.(text) === true
      ? []
      : [`parse ${JSON.stringify(text)}: ${text === '' ? 'empty url' : 'invalid URI for request'}`],
  uuid: ofSchemas('uuid', 'does not match the UUID format'),
  byte: ofSchemas('byte', 'invalid base64'),
  date: ofSchemas('date', 'invalid date'),
  datetime: ofSchemas('datetime', 'invalid datetime'),
};

/** Of the pattern that upstream takes for what it costs, in characters. */
function patternLength(name: string): number {
  return patternLengths[name] ?? 1;
}

const patternLengths: Readonly<Record<string, number>> = {
  ...{ dns1123Label: 30, dns1123Subdomain: 60, dns1035Label: 30, qualifiedName: 60, labelValue: 40 },
  ...{ dns1123LabelPrefix: 30, dns1123SubdomainPrefix: 60, dns1035LabelPrefix: 30 },
  // Of govalidator's URL and Base64, strfmt's UUID and date-time.
  ...{ uri: 946, uuid: 71, byte: 83, date: 70, datetime: 70 },
};

/** Kubernetes' own (apiserver/pkg/cel/library/format.go). */
const rows: Readonly<Record<string, Row>> = {
  ...Object.fromEntries(
    Object.entries(formats).map(([name, format]): [string, Row] => [
      `format.${name}(): kubernetes.NamedFormat`,
      () => new FormatValue(name, format),
    ]),
  ),
  'format.named(string): optional_type(kubernetes.NamedFormat)': (name) => {
    const known = typeof name === 'string' && Object.hasOwn(formats, name) ? formats[name] : undefined;
    return known === undefined ? none : new Optional(new FormatValue(String(name), known));
  },
  'kubernetes.NamedFormat.validate(string): optional_type(list(string))': [
    (format: Value, text: Value): Value => {
      if (!(format instanceof FormatValue)) return new Fault('no such overload');
      const problems = format.format(String(text));
      return problems.length === 0 ? none : new Optional([...problems]);
    },
    ([format, text]) => patternCost(text, format instanceof FormatValue ? patternLength(format.name) : 1),
  ],
};

export const namedFormats: readonly CelFunction[] = functionsOf(rows);
