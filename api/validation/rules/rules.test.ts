import { describe, expect, it } from 'vitest';
import { kinds, optionalKinds } from '#api/schema/kinds.ts';
import { answersTo, coverageOf, kindOf, rowsWithin, type RuleTable } from './rule-table.fixture.ts';
import { ruleTables } from './rule-tables.fixture.ts';

const nameOf = ({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): string =>
  `${apiVersion} ${kind}`;
/** A message that ends in `…` is how an answer begins. */
const expected = (message: string): unknown =>
  message.endsWith('…') ? expect.stringContaining(message.slice(0, -1)) : message;

describe.each(ruleTables.map((table) => ({ name: nameOf(table), table })))('rules of $name', ({ table }) => {
  it('has a rule, or a reason for none, for every field', () => {
    const { open, strange } = coverageOf(table);
    expect({ open, strange }).toEqual({ open: [], strange: [] });
  });

  it.each(table.rows.map((row) => ({ name: `${row.field}: ${row.rule}`, row })))('$name', ({ row }) => {
    expect(answersTo(table, row, row.passes ?? row.from ?? {})).toEqual([]);
    expect(answersTo(table, row, row.fails)).toEqual([row.message].flat().map(expected));
  });

  it.skipIf(table.parts === undefined)('has the rules of the kinds within', () => {
    const rows = rowsWithin(table);
    const answers = rows.map((row) => ({
      row: `${row.field}: ${row.rule}`,
      passes: answersTo(table, row, row.passes ?? {}),
      fails: answersTo(table, row, row.fails),
    }));
    expect(answers).toEqual(
      rows.map((row) => ({
        row: `${row.field}: ${row.rule}`,
        passes: [],
        fails: [row.message].flat().map(expected),
      })),
    );
  });
});

describe('the tables of rules', () => {
  it('are one for each kind', () => {
    const names = ruleTables.map((table) => kindOf(table).kind + kindOf(table).group);
    expect(names).toEqual([...new Set(names)]);
  });

  it('are what docs/validation.md says', async () => {
    await expect(renderTables(ruleTables)).toMatchFileSnapshot('../../../docs/validation.md');
  });
});

function renderTables(tables: readonly RuleTable[]): string {
  const covered = new Set(tables.map((table) => `${kindOf(table).group}/${kindOf(table).kind}`));
  const missing = new Set(
    [...kinds, ...optionalKinds]
      .map(({ group, kind }) => `${group}/${kind}`)
      .filter((key) => !covered.has(key)),
  );
  const rows = tables.map((table) => {
    const { rules, fields, ruled, none } = coverageOf(table);
    return `| ${nameOf(table)} | ${rules} | ${fields} | ${ruled.length} | ${none.length} |`;
  });
  return [
    '# What is validated, by kind',
    '',
    'Made by `api/validation/rules/rules.test.ts` from the tables in that folder: for each rule of kubernetes 1.36 one object that it lets',
    'pass and one that it refuses, with the message. Fields are those below the object that hold values, but for metadata and status; a',
    'field without a rule is said to have none, with the reason; true or false is no rule.',
    '',
    '| kind | rules | fields | with a rule | without |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    '## Fields without a rule',
    '',
    ...tables.flatMap((table) => [...partLines(table), ...reasonLines(table, table.none)]),
    '',
    '## Rules of kubernetes that are not there',
    '',
    ...tables.flatMap((table) => reasonLines(table, table.lacks)),
    '',
    ...(missing.size === 0 ? [] : ['## Kinds without a table', '', [...missing].toSorted().join(', '), '']),
  ].join('\n');
}

/** Where the rules of other kinds hold, but for some of them. */
function partLines(table: RuleTable): readonly string[] {
  return (table.parts ?? []).map((part) => {
    const but = Object.entries(part.not ?? {}).map(([reason, named]) => `${reason} (${named.join('; ')})`);
    const rest = but.length === 0 ? '' : `; not ${but.join(', ')}`;
    return `- **${nameOf(table)}**, what a ${nameOf(part.of)} has without: \`${part.at}.*\`${rest}`;
  });
}

function reasonLines(table: RuleTable, reasons: RuleTable['none'] = {}): readonly string[] {
  return Object.entries(reasons).map(
    ([reason, fields]) =>
      `- **${nameOf(table)}**, ${reason}: ${fields.map((field) => `\`${field}\``).join(', ')}`,
  );
}
