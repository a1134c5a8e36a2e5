/**
 * Our sources as one CommonJS file, so that a program of a few milliseconds does not look for sixty files, and V8 keeps one code
 * cache. It knows what our own sources look like (tidy.ts and oxlint hold that) and refuses the rest: imports and exports begin
 * a line, nothing exported changes, no module needs itself. What runs first is compiled first; `import()` runs nothing earlier.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PodwrightError } from '#base/errors.ts';

export interface BundleOptions {
  /** Absolute; `#folder/` is a folder of it. */
  readonly root: string;
  /** The file whose `main` the bundle exports, below `root`. */
  readonly entry: string;
  /** The file of a package that is required as it is, when a module that wants it runs. @throws where there is none */
  readonly packageFile: (name: string) => string;
  readonly read?: (path: string) => string;
}

/** The text of one file that exports what the entry exports. @throws E_INVALID for what it cannot translate, with the file */
export function bundle(options: BundleOptions): string {
  const read = options.read ?? ((path: string) => readFileSync(path, 'utf8'));
  const modules = new Map<string, string>();
  const waiting = [options.entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (modules.has(file)) continue;
    const translated = translate(file, read(join(options.root, file)), options);
    modules.set(file, translated.text);
    waiting.push(...translated.needs);
  }
  const functions = [...modules]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, text]) => `${moduleName(file)} = once(() => {${text}\n})`);
  return [
    "'use strict';",
    'const once = (make) => { let made; return () => (made ??= make()); };',
    `const ${functions.join(',\n')};`,
    `module.exports = ${moduleName(options.entry)}();`,
    '',
  ].join('\n');
}

interface Translated {
  readonly text: string;
  /** Files below the root. */
  readonly needs: readonly string[];
}

const importLine = /^import\s+([\w$]+(?:,\s*\{\s*\})?|\{[^}]*\}|\*\s+as\s+[\w$]+)\s+from\s+'([^']+)';/gm;
const reexportLine = /^export\s+\{([^}]*)\}\s+from\s+'([^']+)';/gm;
const exportList = /^export\s+\{([^}]*)\};/gm;
const exportedDeclaration = /^export\s+((?:async\s+)?function\s*\*?|class|const)\s+([\w$]+)/gm;
const dynamicImport = /\bimport\('([^']+)'\)/g;

/** One module as the body of a function that returns its exports. Pure. */
function translate(file: string, source: string, options: BundleOptions): Translated {
  const needs: string[] = [];
  const exported: string[] = [];
  const from = (name: string): string => {
    if (name.startsWith('node:')) return `require('${name}')`;
    if (!/^[#.]/.test(name)) return `require(${JSON.stringify(options.packageFile(name))})`;
    const target = name.startsWith('#') ? name.slice(1) : join(dirname(file), name);
    needs.push(target);
    return `${moduleName(target)}()`;
  };
  const text = (file.endsWith('.json') ? jsonModule(source) : stripTypeScriptTypes(source, { mode: 'strip' }))
    .replace(importLine, (_line, names: string, name: string) => `const ${toBinding(names)} = ${from(name)};`)
    .replace(reexportLine, (_line, names: string, name: string) => {
      const source = from(name);
      exported.push(...pairsOf(names).map(([own, as]) => `${as}: ${source}.${own}`));
      return '';
    })
    .replace(exportList, (_line, names: string) => {
      exported.push(...pairsOf(names).map(([own, as]) => `${as}: ${own}`));
      return '';
    })
    .replace(exportedDeclaration, (_line, keyword: string, name: string) => {
      exported.push(name);
      return `${keyword} ${name}`;
    })
    .replace(dynamicImport, (_call, name: string) => `Promise.resolve().then(() => ${from(name)})`)
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(join(options.root, file)).href))
    .replaceAll('import.meta.dirname', JSON.stringify(dirname(join(options.root, file))))
    .replaceAll('import.meta.main', 'false');
  const left = /^(?:import\b|export\b|await\b).*|\bimport\.meta\b.*/m.exec(text)?.[0];
  if (left !== undefined)
    throw new PodwrightError(
      'E_INVALID',
      `bundle ${file}: ${left.trim()}: not written as in our other sources`,
    );
  // A file's own name in stack traces would need a source map; its path is the function's.
  return { text: `\n${withoutBlankLines(text)}\nreturn { ${exported.join(', ')} };`, needs };
}

/** `{ a, b as c }` → `{ a, b: c }`; `* as all` → `all`; a default import is the whole of a CommonJS module. */
function toBinding(names: string): string {
  if (names.startsWith('*')) return names.replace(/^\*\s+as\s+/, '');
  if (!names.startsWith('{')) return names.split(',')[0] ?? names;
  return `{ ${pairsOf(names.slice(1, -1))
    .map(([own, as]) => (own === as ? own : `${own}: ${as}`))
    .join(', ')} }`;
}

function pairsOf(names: string): readonly (readonly [own: string, as: string])[] {
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .map((name) => {
      const [own = '', as = own] = name.split(/\s+as\s+/);
      return [own, as];
    });
}

const jsonModule = (source: string): string => `export const json = ${source};`;

const withoutBlankLines = (text: string): string => text.replaceAll(/^\s*\n/gm, '');

function moduleName(file: string): string {
  return `$${relative('.', file).replaceAll(/\W/g, '_')}`;
}
