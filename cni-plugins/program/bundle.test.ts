import { describe, expect, test } from 'vitest';
import { bundle } from './bundle.ts';

/** Bundles files of a repository that has only these, and runs the result. */
function evaluate(files: Readonly<Record<string, string>>): {
  readonly text: string;
  readonly run: () => Record<string, unknown>;
} {
  const text = bundle({
    root: '/r',
    entry: 'a/entry.ts',
    packageFile: (name) => `/packages/${name}.node`,
    read: (path) => {
      const source = files[path.slice('/r/'.length)];
      if (source === undefined) throw new Error(`${path} is not there`);
      return source;
    },
  });
  const run = (): Record<string, unknown> => {
    const module = { exports: {} as Record<string, unknown> };
    const require = (name: string): unknown => ({ name, join: (...parts: string[]) => parts.join('/') });
    // oxlint-disable-next-line no-new-func -- what Node does with a CommonJS file
    new Function('require', 'module', text)(require, module);
    return module.exports;
  };
  return { text, run };
}

describe('bundle()', () => {
  test('imports and exports of every form that our sources have', async () => {
    const { run } = evaluate({
      'a/entry.ts': `
import addon, { type Handle } from 'addon';
import { join } from 'node:path';
import * as numbers from '#base/numbers.ts';
import { one as first, type Two } from '#base/numbers.ts';
import type { Gone } from './gone.ts';
export { three } from '#base/numbers.ts';
const own: number = first;
export { own as renamed };
export const all = [addon, join('x', 'y'), numbers.one, first] as const;
export async function later(): Promise<unknown> {
  const { late } = await import('./late.ts');
  return late;
}
export class Thing implements Handle {}
export const place = [import.meta.dirname, import.meta.url];
`,
      'a/late.ts': 'export const late = 7;',
      'base/numbers.ts': 'export const one = 1;\nexport const three = one + 2;\nexport type Two = 2;',
    });
    const made = run() as { readonly all: readonly unknown[]; readonly later: () => Promise<number> };
    expect(made.all[0]).toMatchObject({ name: '/packages/addon.node' });
    expect(made.all.slice(1)).toEqual(['x/y', 1, 1]);
    expect(made).toMatchObject({ renamed: 1, three: 3, place: ['/r/a', 'file:///r/a/entry.ts'] });
    expect(made).toHaveProperty('Thing');
    expect(await made.later()).toBe(7);
  });

  test('a module runs once, and one that is imported later not before', () => {
    const { run } = evaluate({
      'a/entry.ts': `
import { count } from './counter.ts';
import { other } from './other.ts';
export const counts = [count, other];
export const later = () => import('./never.ts');
`,
      'a/counter.ts': 'globalThis.made = (globalThis.made ?? 0) + 1;\nexport const count = globalThis.made;',
      'a/other.ts': "import { count } from './counter.ts';\nexport const other = count;",
      'a/never.ts': "throw new Error('ran');",
    });
    expect(run()['counts']).toEqual([1, 1]);
  });

  test.each([
    ['export default 1;', 'export default 1'],
    ['await work();', 'await work'],
    ['export let changing = 1;', 'export let'],
    ["import './effect.ts';", 'import'],
  ])('refuses %s', (source, message) => {
    expect(() => evaluate({ 'a/entry.ts': source })).toThrow(`bundle a/entry.ts: ${message}`);
  });
});
