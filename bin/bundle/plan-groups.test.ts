import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';
import { planGroups } from './plan-groups.ts';
import { programs } from './programs.ts';

/** By lines as `a: b c`: what each module imports. */
const importsOf = (text: string): ReadonlyMap<string, readonly string[]> =>
  new Map(
    text.split('; ').map((line) => {
      const [module = '', imports = ''] = line.split(':');
      return [module, imports.split(' ').filter((name) => name !== '')];
    }),
  );

describe('planGroups()', () => {
  it.each([
    ['what one program loads is its own', 'one: a; two:; a:', { one: 'one', two: 'two', a: 'one' }],
    [
      'what several load is a file of these',
      'one: a; two: b; three:; a: b; b:',
      { one: 'one', two: 'two', three: 'three', a: 'one', b: 'one-two' },
    ],
    [
      'what imports one another goes together',
      'one: a; two: b; a: b; b: a',
      { one: 'one', two: 'two', a: 'one-two', b: 'one-two' },
    ],
    [
      'an entry that another imports is of both',
      'one: two; two: a; a:',
      { one: 'one', two: 'one-two', a: 'one-two' },
    ],
    ['what is loaded by import() alone has none', 'one: a; a:; later: a', { one: 'one', a: 'one' }],
    ['packages that are left out have none', 'one: koffi a; a:', { one: 'one', a: 'one' }],
  ])('%s', (_what, modules, want) => {
    const entered = { one: ['one'], two: ['two', 'not there'], three: ['three'] };
    expect(Object.fromEntries(planGroups(importsOf(modules), entered))).toEqual(want);
  });

  it('never has two files import one another', () => {
    const names = Array.from({ length: 40 }, (_none, at) => `m${at}`);
    const imports = new Map(
      names.map((name, at) => [name, [1, 7, 11].map((step) => `m${(at * step * 3 + step) % names.length}`)]),
    );
    const groups = planGroups(imports, { a: ['m0', 'm5'], b: ['m1'], c: ['m2', 'm30'], d: ['m38'] });
    for (const [module, imported] of imports) {
      for (const program of groups.get(module)?.split('-') ?? [])
        for (const each of imported) expect(groups.get(each)?.split('-')).toContain(program);
    }
  });

  it('is of programs that are there', () => {
    const missing = Object.values(programs)
      .flat()
      .filter((path) => !existsSync(`${repositoryRoot}/${path}.ts`));
    expect(missing).toEqual([]);
  });
});
