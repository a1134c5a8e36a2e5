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
  port: 'must be between 1 and 65535, inclusive',
  mode: 'must be a number between 0 and 0777 (octal), both inclusive',
  notNegative: 'must be greater than or equal to 0',
} as const;

/** `Invalid value: "x": must …`, as JSON has the value. */
export const invalid = (value: unknown, detail: string): string =>
  `Invalid value: ${JSON.stringify(value)}: ${detail}`;
