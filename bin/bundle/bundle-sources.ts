import { dirname, join, relative } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';

import { planGroups } from './plan-groups.ts';
import { programs } from './programs.ts';

export interface BundleInput {
  /** Absolute. */
  readonly root: string;
  /** What is entered, by the name that it gets; files below the root. The threads come with them: whoever starts one names its file. */
  readonly entries: Readonly<Record<string, string>>;
  /** From where the bundle will be to the root, as `../..`. */
  readonly upToRoot: string;
  /** Packages that it imports as they are. */
  readonly isLeftOut: (name: string) => boolean;
}

export interface BundledFile {
  readonly name: string;
  readonly text: string;
  /** Whole paths, and names of what the bundler made up. */
  readonly sources: readonly string[];
}

/** They have the words that are replaced. */
const bundlers = /^(bin\/bundle|cni-plugins\/program)\/bundle(-sources)?\.[jt]s$/;

/** All that the entries may load, by imports and by threads, in a few files, which are quick to load (decision 0166). */
export async function bundleSources(input: BundleInput): Promise<readonly BundledFile[]> {
  const { root, entries, isLeftOut } = input;
  const groups = groupsIn(root);
  await using build = await rolldown({
    cwd: root,
    input: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(root, file)])),
    platform: 'node',
    external: (name) => isLeftOut(name),
    plugins: [placesIn(input), groups.plugin],
    treeshake: false,
    preserveEntrySignatures: 'allow-extension',
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    comments: false,
    // Modules that each other group takes along would be loaded by programs that do not need them.
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: groups.nameOf, debugName: 'shared by programs' }],
    },
  });
  const chunks = output.filter((chunk) => chunk.type === 'chunk');
  return chunks.map(({ fileName, code, moduleIds }) => ({
    name: fileName,
    text: quickToLoad(code),
    sources: moduleIds,
  }));
}

/** The file that each module goes into, which is known once all are: `planGroups` of them. */
function groupsIn(root: string): { readonly plugin: Plugin; readonly nameOf: (id: string) => string | null } {
  let groups: ReadonlyMap<string, string> = new Map();
  let threads: ReadonlySet<string> = new Set();
  const isEntered = (module: string, entry: string): boolean =>
    [`${entry}.ts`, `${entry}.js`].includes(relative(root, module));
  const plugin: Plugin = {
    name: 'groups',
    buildEnd() {
      const modules = [...this.getModuleIds()];
      const imports = new Map(modules.map((id) => [id, this.getModuleInfo(id)?.importedIds ?? []]));
      const entered = Object.entries(programs).map(
        ([name, entries]) =>
          [name, entries.flatMap((entry) => modules.filter((id) => isEntered(id, entry)))] as const,
      );
      groups = planGroups(imports, Object.fromEntries(entered));
      // They have files of their own, which whoever starts them names.
      threads = new Set(modules.filter((id) => this.getModuleInfo(id)?.isEntry === true));
    },
  };
  return { plugin, nameOf: (id) => (threads.has(id) ? null : (groups.get(id) ?? null)) };
}

const threadAddress = /\bnew URL\('(\.\/[\w.-]+\.[jt]s)', import\.meta\.url\)/g;

/** Sources go on finding what is beside them, and the threads that they start are of the bundle. */
function placesIn({ root, upToRoot }: BundleInput): Plugin {
  return {
    name: 'places',
    transform(code, id) {
      const path = relative(root, id);
      if (!isOurs(id, root) || bundlers.test(path) || !code.includes('import.meta')) return null;
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
export const isOurs = (id: string, root: string): boolean =>
  id.startsWith(`${root}/`) && !id.startsWith(join(root, 'node_modules/'));
