import { describe, expect, it } from 'vitest';
import { importsOf, isShipped, rewriteNames, toJavaScript } from './rewrite.ts';

/** So that what is tested is not taken for an import of this file. */
const from = 'from';

it('toJavaScript() keeps lines and columns', () => {
  const source =
    "import { a, type B } from './a.ts';\nimport type { C } from '#b/c.ts';\nconst x: B = a as C;\n";
  expect(toJavaScript(source)).toBe(
    `import { a,        } ${from} './a.js';\n                                 \nconst x    = a     ;\n`,
  );
});

describe('rewriteNames()', () => {
  it.each([
    ["new URL('./disk.worker.ts', import.meta.url)", "new URL('./disk.worker.js', import.meta.url)"],
    ["join(root, 'bin', 'podwright.ts')", "join(root, 'bin', 'podwright.js')"],
    [`${from} '#base/clock.ts'`, `${from} '#base/clock.js'`],
    ['from "./a.ts"', 'from "./a.js"'],
    ["endsWith('.d.ts')", "endsWith('.d.ts')"],
    ["'see a.ts for it'", "'see a.ts for it'"],
    ["endsWith('.ts')", "endsWith('.ts')"],
  ])('%s', (given, want) => expect(rewriteNames(given)).toBe(want));
});

it.each([
  ['client/lease.ts', true],
  ['client/lease.test.ts', false],
  ['agent/x.linux.test.ts', false],
  ['base/random.fixture.ts', false],
  ['client/client.fake.ts', true],
  ['api/kinds/golden/rules.txt', false],
  ['api/fixtures/a.json', false],
  ['api/facts/schema-1.36.json', true],
  ['api/facts/generate-texts.ts', false],
])('isShipped(%s) is %s', (file, want) => expect(isShipped(file)).toBe(want));

it('importsOf() gives paths from the root', () => {
  const text =
    "import type { A } from './a.ts';\nexport type * from '#b/c.ts';\nimport 'node:fs';\ntype D = import('./d.ts').D;";
  expect(importsOf('client/x.d.ts', text)).toEqual(['client/a', 'b/c', 'client/d']);
});
