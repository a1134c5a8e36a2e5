/**
 * The bundle: all that our programs and their threads load, in a few files of JavaScript (decision 0166). It is of use while each of
 * our files that it was made of is as it was then, with the same packages; the repository may have been moved, or copied whole.
 */
// As `quickToLoad` has them: every start is through here, and an import of node:crypto loads what few need.
const { createHash } = process.getBuiltinModule('node:crypto');
const { readFileSync, statSync } = process.getBuiltinModule('node:fs');
const { join } = process.getBuiltinModule('node:path');

export interface BundleIndex {
  /** Where its files are, below `bundlesDirectory`. */
  readonly directory: string;
  /** A digest of npm's list of them. */
  readonly packages: string;
  readonly sources: readonly BundleSource[];
}

/** A file below the repository's root, its size, and when it was changed (whole seconds since 1970: some archives keep no more). */
export type BundleSource = readonly [path: string, size: number, changedAt: number];

/** Below the repository's root. */
export const bundlesDirectory: string = join('build', 'bundle');
export const indexName = 'index.json';

/** What npm says of all that it installed. */
export const packagesFile: string = join('node_modules', '.package-lock.json');

/** The file `name.js` of the bundle, if there is one of the sources as they are now. */
export function fileOfBundle(root: string, name: string): string | undefined {
  try {
    const text = readFileSync(join(root, bundlesDirectory, indexName), 'utf8');
    const { directory, packages, sources } = JSON.parse(text) as BundleIndex;
    const file = join(root, bundlesDirectory, directory, `${name}.js`);
    statSync(file);
    return packages === packagesOf(root) && sources.every((source) => isAsItWas(root, source))
      ? file
      : undefined;
  } catch {
    return undefined; // None was made, or a file of it, or one that it was made of, is gone.
  }
}

function isAsItWas(root: string, [path, size, changedAt]: BundleSource): boolean {
  const [, sizeNow, changedAtNow] = sourceAt(root, path);
  return sizeNow === size && changedAtNow === changedAt;
}

export function sourceAt(root: string, path: string): BundleSource {
  const { size, mtimeMs } = statSync(`${root}/${path}`); // Of 1,400, to join them would take as long again.
  return [path, size, Math.floor(mtimeMs / 1000)];
}

/** What the packages are, in one word. */
export function packagesOf(root: string): string {
  return createHash('sha256')
    .update(readFileSync(join(root, packagesFile)))
    .digest('hex');
}
