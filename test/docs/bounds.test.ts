import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Bound {
  readonly what: string;
  readonly limit: string;
  /** The file, then the names that stand in it. */
  readonly where: readonly string[];
  readonly tests: readonly string[];
}

/** The rows of the table of a section. */
function readBounds(text: string): readonly Bound[] {
  const section = text.split(/^## /m).find((part) => part.startsWith('11. Bounds')) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => {
    const [what = '', limit = '', , where = '', test = ''] = row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    return { what, limit, where: where.split(' '), tests: test.split(/[ ,]+/) };
  });
}

describe('design.md section 11', () => {
  const bounds = readBounds(readFileSync('docs/design.md', 'utf8'));

  it('has rows', () => expect(bounds.length).toBeGreaterThan(5));

  it.each(bounds)(
    '$what: the limit is where the table says, and a test goes over it',
    ({ limit, where, tests }) => {
      const [file = '', ...names] = where;
      expect(limit).not.toBe('');
      expect(existsSync(file), `${file} is not there`).toBe(true);
      expect(names.length, 'where names the limit').toBeGreaterThan(0);
      const source = readFileSync(file, 'utf8');
      for (const name of names) expect(source.includes(name), `${name} in ${file}`).toBe(true);
      for (const test of tests) expect(existsSync(test), `${test} is not there`).toBe(true);
    },
  );
});
