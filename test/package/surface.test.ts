/** What `podwright/client` and `podwright/test` show: whoever changes it says so, by the golden files and in docs/client.md. */
import { mkdtempDisposableSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileDeclarations } from '#bin/package/emit.ts';
import { repositoryRoot } from '#bin/paths.ts';

/** Read before any test asks: where all are skipped, no hook would remove them. */
const texts = ((): ReadonlyMap<string, string> => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'podwright-surface-'));
  compileDeclarations(repositoryRoot, directory.path);
  const files = readdirSync(directory.path, { recursive: true, encoding: 'utf8' });
  const written = files.filter((file) => file.endsWith('.d.ts'));
  return new Map(written.map((file) => [file, readFileSync(join(directory.path, file), 'utf8')]));
})();
const textOf = (file: string): string => texts.get(`${file}.d.ts`) ?? '';
const page = readFileSync(join(repositoryRoot, 'docs', 'client.md'), 'utf8');

interface Shown {
  readonly name: string;
  readonly file: string;
  /** With its doc comment. */
  readonly text: string;
}

/** The declarations of a file at its top, by name. */
function declarationsOf(file: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let comment: string[] = [];
  let name: string | undefined;
  for (const line of textOf(file).split('\n')) {
    const begun = /^export (?:declare )?(?:abstract )?(?:interface|type|function|class|const) (\w+)/.exec(
      line,
    )?.[1];
    if (begun !== undefined) {
      name = begun;
      found.set(name, `${found.has(name) ? `${found.get(name)}\n` : ''}${[...comment, line].join('\n')}`);
      comment = [];
    } else if (/^(\/\*\*| \*)/.test(line)) {
      comment.push(line);
      name = undefined;
    } else if (/^[\s}|&]/.test(line) && name !== undefined) found.set(name, `${found.get(name)}\n${line}`);
    else {
      comment = [];
      name = undefined;
    }
  }
  return found;
}

/** What comments say may change unsaid. */
function withoutComments(text: string): string {
  return text.replaceAll(/^\s*(\/\*\*.*\*\/|\/\*\*|\*.*)\n/gm, '');
}

function resolveFrom(entry: string, from: string): string {
  return (from.startsWith('#') ? from.slice(1) : normalize(join(dirname(entry), from))).replace(/\.ts$/, '');
}

/** All that an entry exports, but for what it takes whole. */
function shownBy(entry: string): { readonly shown: readonly Shown[]; readonly whole: readonly string[] } {
  const text = textOf(entry);
  const whole = [...text.matchAll(/export (?:type )?\* from '([^']+)'/g)].map(([, from = '']) =>
    resolveFrom(entry, from),
  );
  const shown = [...text.matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)].flatMap(
    ([, names = '', from = '']) => {
      const file = resolveFrom(entry, from);
      const declarations = declarationsOf(file);
      return names
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => name !== '')
        .map((name) => ({ name, file, text: declarations.get(name) ?? 'not found' }));
    },
  );
  return { shown: shown.toSorted((a, b) => (a.name < b.name ? -1 : 1)), whole };
}

const entries = [
  { entry: 'client/public', golden: 'client.txt' },
  { entry: 'test/environment/public', golden: 'test.txt' },
];

describe.each(entries)('$entry', ({ entry, golden }) => {
  const { shown, whole } = shownBy(entry);

  it('shows what it did before', async () => {
    const kinds = whole
      .filter((file) => !file.startsWith('api/generated/'))
      .flatMap((file) => [...declarationsOf(file)]);
    const lines = [
      ...whole.map((file) => `// all of ${file}.ts`),
      ...kinds
        .filter(([name]) => !shown.some((each) => each.name === name))
        .map(([, text]) => text.replace(/^\/\*\*.*\*\/\n/, '')),
      ...shown.map(({ file, text }) => `// ${file}.ts\n${text}`),
    ];
    await expect(
      `${lines
        .map(withoutComments)
        .join('\n')
        .replaceAll(/\n{2,}/g, '\n')}\n`,
    ).toMatchFileSnapshot(`golden/${golden}`);
  });

  it('finds each declaration, and each says what it is', () => {
    const silent = shown.filter(({ text }) => text === 'not found' || !text.includes('/**'));
    expect(silent.map(({ name, file }) => `${file} ${name}`)).toEqual([]);
  });

  it('lets an operator have 60 lines', () => {
    const text = readFileSync(new URL('../../examples/operator/operator.ts', import.meta.url), 'utf8');
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(60);
  });

  it('is in docs/client.md', () => {
    const missing = shown.filter(({ name }) => !new RegExp(`\\b${name}\\b`).test(page));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  /** A type that is spoken of and cannot be named is a wall for whoever writes a function around it. */
  it('exports the types that its declarations speak of', () => {
    const named = new Set([
      ...shown.map(({ name }) => name),
      ...whole.flatMap((file) => [...declarationsOf(file).keys()]),
    ]);
    const known = new Set(
      ['client/public'].includes(entry) ? [] : shownBy('client/public').shown.map(({ name }) => name),
    );
    const spoken = shown.flatMap(({ file, text }) => {
      const code = text
        .replaceAll(/\/\*\*[\s\S]*?\*\//g, '')
        .replaceAll(/\/\/.*/g, '')
        .replaceAll(/'[^']*'/g, '');
      const declared = declarationsOf(file);
      return [...code.matchAll(/\b[A-Z]\w+\b/g)].map(([name]) => name).filter((name) => declared.has(name));
    });
    expect([...new Set(spoken)].filter((name) => !named.has(name) && !known.has(name)).toSorted()).toEqual(
      [],
    );
  });
});
