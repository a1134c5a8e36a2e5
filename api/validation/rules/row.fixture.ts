import type { Edits, RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

/** A row about one place: what passes there, what fails, and what is said of that (or, of other places, all that is said). */
export function ruleAt(
  path: string,
  rule: string,
  values: { readonly passes?: unknown; readonly fails: unknown },
  said: string | readonly string[],
  beside: Edits = {},
): RuleRow {
  return {
    field: path.replaceAll(/\[\d+\]/g, ''),
    rule,
    ...('passes' in values ? { passes: { ...beside, [path]: values.passes } } : {}),
    fails: { ...beside, [path]: values.fails },
    message: typeof said === 'string' ? `${path}: ${said}` : said,
  };
}

/** Fields that must be there; the base object has them, or `beside` gives them. */
export function neededAt(path: string, given: Readonly<Record<string, unknown>>): readonly RuleRow[] {
  return Object.keys(given)
    .map((name) =>
      ruleAt(path, name, { passes: given, fails: { ...given, [name]: undefined } }, [
        `${path}.${name}: Required value`,
      ]),
    )
    .map((row, index) => ({
      ...row,
      field: `${row.field}.${Object.keys(given)[index] ?? ''}`,
      rule: 'there',
    }));
}

/** A text that must be one of a few. */
export function oneOfAt(path: string, allowed: readonly string[], beside: Edits = {}): RuleRow {
  const list = allowed.map((value) => JSON.stringify(value)).join(', ');
  const values = { passes: allowed[0], fails: 'X' };
  return ruleAt(path, 'one of a few', values, `Unsupported value: "X": supported values: ${list}`, beside);
}

/** The beginnings of what formats say. */
export const says = {
  label: 'a lowercase RFC 1123 label must consist of…',
  subdomain: 'a lowercase RFC 1123 subdomain must consist of…',
  qualified: 'name part must consist of…',
  labelValue: 'a valid label must be an empty string or consist of…',
  configKey: 'a valid config key must consist of…',
  envName: 'a valid environment variable name must consist only of…',
  ip: 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  leadingZeros: 'must not have leading 0s',
  mappedIp: 'must not be an IPv4-mapped IPv6 address',
  cidrZeros: 'must not have leading 0s in IP or prefix length',
  mappedCidr: 'must not have an IPv4-mapped IPv6 address',
  hostBits: 'must not have bits set beyond the prefix length',
  port: 'must be between 1 and 65535, inclusive',
  mode: 'must be a number between 0 and 0777 (octal), both inclusive',
  notNegative: 'must be greater than or equal to 0',
} as const;

/** An address that some read otherwise (KEP-4858); `valueOf` gives what stands at the path for one, `faulty` where it stands. */
export function strictIpRows(
  path: string,
  faulty: string = path,
  valueOf: (ip: string) => unknown = (ip) => ip,
  beside: Edits = {},
): readonly RuleRow[] {
  return [
    ['without leading zeros', '192.0.02.1', says.leadingZeros],
    ['not of the other family in disguise', '::ffff:192.0.2.1', says.mappedIp],
  ].map(([rule = '', ip = '', detail = '']) =>
    ruleAt(path, rule, { fails: valueOf(ip) }, [`${faulty}: ${invalid(ip, detail)}`], beside),
  );
}

/** A network that some read otherwise. */
export function strictCidrRows(
  path: string,
  faulty: string,
  valueOf: (cidr: string) => unknown,
  beside: Edits = {},
): readonly RuleRow[] {
  return [
    ['without leading zeros', '10.0.0.0/08', says.cidrZeros],
    ['not of the other family in disguise', '::ffff:10.0.0.0/104', says.mappedCidr],
    ['no address in one', '10.0.0.1/8', says.hostBits],
  ].map(([rule = '', cidr = '', detail = '']) =>
    ruleAt(path, rule, { fails: valueOf(cidr) }, [`${faulty}: ${invalid(cidr, detail)}`], beside),
  );
}

/** `Invalid value: "x": must …`, as JSON has the value. */
export const invalid = (value: unknown, detail: string): string =>
  `Invalid value: ${JSON.stringify(value)}: ${detail}`;
