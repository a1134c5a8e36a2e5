/** `node bin/package/emit.ts`: makes build/package, of which `npm pack` makes the package (decision 0050). Run by npm as `prepare`. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { bundleSources } from '#bin/bundle/bundle-sources.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { importsOf, isShipped, rewriteNames, toJavaScript } from './rewrite.ts';

/** What is imported by its name. */
export const entries: readonly string[] = ['client/public', 'test/environment/public'];

/** Below the package. */
const bundleFolder = 'bundle';

const folders = [
  ...[
    'base',
    'api',
    'native',
    'proto',
    'client',
    'agent',
    'cni-plugins',
    'oci-runtime',
    'control-plane',
    'bin',
  ],
  'test/environment',
];

/** Makes the package's files in `target`, whole or not at all. */
export async function emitPackage(target: string, root: string = repositoryRoot): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  const draft = mkdtempSync(`${target}.draft-`);
  try {
    for (const folder of folders) for (const file of filesIn(root, folder)) emitFile(root, draft, file);
    emitDeclarations(root, draft);
    writeFileSync(join(draft, 'package.json'), renderScope(readFileSync(join(root, 'package.json'), 'utf8')));
    await emitBundle(draft);
    const busybox = join('build', 'busybox'); // The demo image of `up` is made of it.
    if (existsSync(join(root, busybox))) copy(root, draft, busybox);
    remove(target);
    renameSync(draft, target);
  } finally {
    remove(draft);
  }
}

function filesIn(root: string, folder: string): readonly string[] {
  const found = globSync(`${folder}/**`, { cwd: root, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return found.map((entry) => relative(root, join(entry.parentPath, entry.name))).filter(isShipped);
}

function emitFile(root: string, target: string, file: string): void {
  if (!file.endsWith('.ts')) {
    copy(root, target, file);
    return;
  }
  write(join(target, file.replace(/\.ts$/, '.js')), toJavaScript(readFileSync(join(root, file), 'utf8')));
}

/** In place of what is entered stands where that is in the bundle. What is read as text, or by its own path, stays beside it. */
async function emitBundle(target: string): Promise<void> {
  const entered = [...entries, 'bin/main'].map((path) => [path.replaceAll('/', '-'), `${path}.js`] as const);
  const files = await bundleSources({
    root: target,
    entries: Object.fromEntries(entered),
    upToRoot: '..',
    isLeftOut: (name) => /^[\w@]/.test(name), // Packages are those that npm installs.
  });
  for (const { name, text } of files) write(join(target, bundleFolder, name), text);
  for (const [name, path] of entered) {
    const file = relative(dirname(path), join(bundleFolder, `${name}.js`));
    write(join(target, path), `export * from '${file}';\n`);
  }
}

/** Of what the entries show, and of what that shows: nobody is to see the rest. */
function emitDeclarations(root: string, target: string): void {
  const all = mkdtempSync(`${target}.types-`);
  try {
    compileDeclarations(root, all);
    const waiting = [...entries];
    const seen = new Set(waiting);
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const text = readFileSync(join(all, `${name}.d.ts`), 'utf8');
      write(join(target, `${name}.d.ts`), rewriteNames(text));
      for (const next of importsOf(`${name}.d.ts`, text)) {
        if (seen.has(next) || !existsSync(join(all, `${next}.d.ts`))) continue;
        seen.add(next);
        waiting.push(next);
      }
    }
  } finally {
    remove(all);
  }
}

/** Declarations of the entries and of all that they import, below `target`. */
export function compileDeclarations(root: string, target: string): void {
  const project = join(target, 'tsconfig.json');
  const base = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')) as { compilerOptions: object };
  const compilerOptions = {
    ...base.compilerOptions,
    noEmit: false,
    emitDeclarationOnly: true,
    noCheck: true, // `npm run check` does; declarations follow from each file alone (isolatedDeclarations).
    rootDir: root,
    outDir: target,
    typeRoots: [join(root, 'node_modules', '@types')],
  };
  const files = entries.map((entry) => join(root, `${entry}.ts`));
  writeFileSync(project, JSON.stringify({ compilerOptions, files }));
  execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], {
    stdio: 'inherit',
  });
}

/** The scope of the emitted files: their `#folder/` imports, and the version that programs say. */
export function renderScope(packageText: string): string {
  const { name, version, type, imports } = JSON.parse(packageText) as Readonly<Record<string, unknown>>;
  return `${JSON.stringify({ name, version, private: true, type, imports }, undefined, 2)}\n`;
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function copy(root: string, target: string, file: string): void {
  mkdirSync(dirname(join(target, file)), { recursive: true });
  cpSync(join(root, file), join(target, file));
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

if (import.meta.main) await emitPackage(join(repositoryRoot, 'build', 'package'));
