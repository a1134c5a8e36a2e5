/** What of the sources programs outside this repository are given: JavaScript and declarations, as Node strips no types below node_modules. */
import { stripTypeScriptTypes } from 'node:module';

/** Types become spaces, so that lines and columns of errors are those of the source. Pure. */
export function toJavaScript(source: string): string {
  return rewriteNames(stripTypeScriptTypes(source, { mode: 'strip' }));
}

/**
 * Names of our files, in imports, in `new URL('./x.ts', …)` and where a program's own file is named, end with .js. A text that is nothing
 * but a path of a .ts file is taken for such a name.
 */
export function rewriteNames(text: string): string {
  return text.replaceAll(
    /(['"])((?:[#./]|[a-z0-9])[\w#./-]*)\.ts\1/g,
    (whole: string, quote: string, name: string) =>
      name.endsWith('.d') ? whole : `${quote}${name}.js${quote}`,
  );
}

/** Files of a folder that are not for programs: tests, what only tests use, what is written from other files. */
export function isShipped(file: string): boolean {
  if (/\.(test|fixture|conformance)\.ts$/.test(file)) return false;
  if (/(^|\/)(golden|fixtures|__snapshots__)\//.test(file)) return false;
  return !/(^|\/)generate[a-z-]*\.ts$/.test(file) && !file.endsWith('.md');
}

/** The imports of a declaration file that are of this package, as paths from its root without extension. */
export function importsOf(file: string, text: string): readonly string[] {
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '';
  return [...text.matchAll(/(?:from |import\()'([#.][^']*)\.(?:ts|js)'/g)].map(([, name = '']) =>
    name.startsWith('#') ? name.slice(1) : `${folder}/${name.replace(/^\.\//, '')}`,
  );
}
