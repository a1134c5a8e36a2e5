import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';

import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { bundlesDirectory, indexName, packagesOf, sourceAt, type BundleIndex } from './bundle.ts';

/** What a bundle is entered by. The threads come with it: whoever starts one names its file. */
const entry = join('bin', 'main.ts');

/** Packages that look for files beside their own. */
const leftOut: readonly RegExp[] = [/^koffi$/, /^rolldown$/];

/** They have the words that are replaced. */
const bundlers: ReadonlySet<string> = new Set([
  'bin/bundle/write-bundle.ts',
  'cni-plugins/program/bundle.ts',
]);

/** Processes that run go on loading from the bundle that they began with. */
const keptBefore = 2;

/** For every user of the machine, as the packages are. */
const modes = { directory: 0o755, file: 0o644 };

/** From a file of a bundle to the repository's root. */
const upToRoot = '../../..';

/**
 * Makes all that `bin/main.ts` may load anew, in a directory named after what is in it. Who starts meanwhile has the bundle before,
 * or the sources.
 *
 * @throws E_CONFLICT when a source was changed meanwhile: there is no bundle of it
 */
export async function writeBundle(root: string): Promise<void> {
  const startedAt = Math.floor(Date.now() / 1000);
  const bundles = join(root, bundlesDirectory);
  await mkdir(bundles, { recursive: true });
  const draft = await mkdtemp(join(bundles, 'draft-'));
  try {
    const files = await bundle(root);
    for (const { name, text } of files) await writeFile(join(draft, name), text);
    const sources = sourcesOf(files, root).map((path) => sourceAt(root, path));
    const changed = sources.find(([, , changedAt]) => changedAt >= startedAt);
    if (changed !== undefined)
      throw new PodwrightError(
        'E_CONFLICT',
        `bundle ${root}: ${changed[0]} was changed meanwhile; once more`,
      );
    const directory = nameOf(files);
    await chmod(draft, modes.directory);
    await moveUnlessThere(draft, join(bundles, directory));
    const index: BundleIndex = { directory, packages: packagesOf(root), sources };
    await writeDurably(join(bundles, indexName), JSON.stringify(index), { mode: modes.file });
    await removeOld(bundles, directory);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

interface BundledFile {
  readonly name: string;
  readonly text: string;
  /** Whole paths, and names of what the bundler made up. */
  readonly sources: readonly string[];
}

async function bundle(root: string): Promise<readonly BundledFile[]> {
  await using build = await rolldown({
    cwd: root,
    input: { main: join(root, entry) },
    platform: 'node',
    external: [...leftOut],
    plugins: [placesIn(root)],
    treeshake: false,
  });
  const { output } = await build.generate({ format: 'esm', entryFileNames: '[name].js', comments: false });
  const chunks = output.filter((chunk) => chunk.type === 'chunk');
  return chunks.map(({ fileName, code, moduleIds }) => ({
    name: fileName,
    text: quickToLoad(code),
    sources: moduleIds,
  }));
}

const threadAddress = /\bnew URL\('(\.\/[\w.-]+\.ts)', import\.meta\.url\)/g;

/** Sources go on finding what is beside them, and the threads that they start are of the bundle. */
function placesIn(root: string): Plugin {
  return {
    name: 'places',
    transform(code, id) {
      const path = relative(root, id);
      if (!isOurs(id, root) || bundlers.has(path) || !code.includes('import.meta')) return null;
      return code
        .replaceAll(threadAddress, (_address, file: string) => {
          const thread = this.emitFile({ type: 'chunk', id: join(dirname(id), file) });
          return `new URL(import.meta.ROLLUP_FILE_URL_${thread})`;
        })
        .replaceAll(/\bimport\.meta\.dirname\b/g, `(import.meta.dirname + '/${upToRoot}/${dirname(path)}')`)
        .replaceAll(/\bimport\.meta\.url\b/g, `new URL('${upToRoot}/${path}', import.meta.url).href`)
        .replaceAll(/\bimport\.meta\.main\b/g, 'false');
    },
  };
}

const builtinImport = /^import ([^;]+?) from "(node:[\w/]+)";$/gm;
const notAscii = /[^\0-\x7f]/g;

/**
 * Node's own modules as `require` gives them: an import of all that they export has it load what few need (of node:http its clients
 * of the web, 150 ms). And no letter that would have V8 keep a file in two bytes for each. Pure.
 */
export function quickToLoad(code: string): string {
  return code
    .replaceAll(builtinImport, (_line, names: string, module: string) => renderBuiltin(names, module))
    .replaceAll(notAscii, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `a, { b as c }` of a module of Node's, as constants. */
function renderBuiltin(names: string, module: string): string {
  const [, own, named] = /^(?:(?:\* as )?([\w$]+))?(?:, )?(\{.*\})?$/.exec(names) ?? [];
  const from = `globalThis.process.getBuiltinModule(${JSON.stringify(module)})`;
  const constants = [own, named?.replaceAll(' as ', ': ')].filter((name) => name !== undefined);
  return constants.map((name) => `const ${name} = ${from};`).join(' ');
}

/** No package's file, and none that the bundler made up: their names begin with a null byte. */
const isOurs = (id: string, root: string): boolean =>
  id.startsWith(`${root}/`) && !id.startsWith(join(root, 'node_modules/'));

function sourcesOf(files: readonly BundledFile[], root: string): readonly string[] {
  const ids = files.flatMap(({ sources }) => sources).filter((id) => isOurs(id, root));
  return [...new Set(ids)].map((id) => relative(root, id)).toSorted();
}

function nameOf(files: readonly BundledFile[]): string {
  const hash = createHash('sha256');
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex').slice(0, 16);
}

/** What is there has the same name, and so the same content. */
async function moveUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

async function removeOld(bundles: string, current: string): Promise<void> {
  const names = (await readdir(bundles)).filter((name) => name !== current && name !== indexName);
  const others = await Promise.all(
    names.map(async (name) => ({
      path: join(bundles, name),
      madeMs: (await stat(join(bundles, name))).mtimeMs,
    })),
  );
  const old = others.toSorted((a, b) => b.madeMs - a.madeMs).slice(keptBefore);
  for (const { path } of old) await rm(path, { recursive: true, force: true });
}
