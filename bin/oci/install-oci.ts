/** `podwright-oci` where other programs find it: a script that runs one file of all its code, and beside that what it runs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { bundle } from '#cni-plugins/program/bundle.ts';
import { ensureRunner } from '#native/launch/build.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { print } from '#bin/terminal/print.ts';
import { version } from '#bin/version.ts';

export interface InstallOciOptions {
  /** Where programs are looked for. */
  readonly binDir: string;
  /** The Node that runs it. */
  readonly nodePath: string;
  /** Of the repository. */
  readonly root: string;
}

const run = promisify(execFile);
const draftPrefix = '.podwright-oci-draft-';
const directoryName = /^\.podwright-oci-[0-9a-f]{16}$/;
const files = ['oci.cjs', 'load.cjs', 'oci.cache', 'runner'];
const rehearsalMsMax = 60_000;

/** The program's path. Whole or not at all, safe to repeat. @throws E_INVALID, E_UNSUPPORTED, errno */
export async function installOci(options: InstallOciOptions): Promise<string> {
  const { nodePath } = options;
  const binDir = resolve(options.binDir);
  await mkdir(binDir, { recursive: true, mode: 0o755 });
  const directory = await placeProgram({ ...options, binDir });
  const load = join(directory, 'load.cjs');
  const command = [nodePath, load, version()].map(quote).join(' ');
  const path = join(binDir, 'podwright-oci');
  // V8 keeps the code of what ran: the texts of help and features have all modules in them.
  await run(nodePath, [load, version(), '--keep-code', 'features'], { timeout: rehearsalMsMax });
  await writeDurably(path, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  for (const name of await namesIn(binDir)) {
    const other = join(binDir, name);
    if ((directoryName.test(name) || name.startsWith(draftPrefix)) && other !== directory)
      await removeOwn(other);
  }
  return path;
}

/** `podwright install oci`. */
export async function runInstallOci({ binDir }: { readonly binDir: string }): Promise<void> {
  print(await installOci({ binDir, nodePath: process.execPath, root: repositoryRoot }));
}

/** `podwright uninstall oci`: succeeds if nothing is there; a program of somebody else's stays. */
export async function runUninstallOci({ binDir }: { readonly binDir: string }): Promise<void> {
  const path = join(resolve(binDir), 'podwright-oci');
  if (existsSync(path) && (await readFile(path, 'utf8')).includes('/.podwright-oci-')) await rm(path);
  for (const name of await namesIn(resolve(binDir)))
    if (directoryName.test(name) || name.startsWith(draftPrefix))
      await removeOwn(join(resolve(binDir), name));
  print(`podwright-oci in ${binDir} removed`);
}

/** For sh(1). */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A directory named after what is in it: what runs from an older one goes on. */
async function placeProgram({ binDir, nodePath, root }: InstallOciOptions): Promise<string> {
  const text = bundle({ root, entry: 'oci-runtime/program/program.ts', packageFile: addonOf(root) });
  const load = await readFile(join(root, 'oci-runtime/program/load.cjs'), 'utf8');
  const runner = await ensureRunner();
  const hash = createHash('sha256')
    .update([text, load, nodePath, process.version].join('\0'))
    .update(await readFile(runner))
    .digest('hex');
  const directory = join(binDir, `.podwright-oci-${hash.slice(0, 16)}`);
  const draft = await mkdtemp(join(binDir, draftPrefix));
  await writeFile(join(draft, 'oci.cjs'), text);
  await writeFile(join(draft, 'load.cjs'), load);
  await copyFile(runner, join(draft, 'runner'));
  await chmod(join(draft, 'runner'), 0o755);
  await chmod(draft, 0o755);
  try {
    await rename(draft, directory);
  } catch (error) {
    await removeOwn(draft);
    // The same is there: two at once, or a second time.
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
  return directory;
}

function addonOf(root: string): (name: string) => string {
  const require = createRequire(join(root, 'package.json'));
  return (name) => {
    require(name);
    const addon = Object.keys(require.cache).find((path) => path.endsWith(`${name}.node`));
    if (addon !== undefined) return addon;
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `bundle podwright-oci: ${name} has no addon for ${process.arch}`,
    );
  };
}

async function removeOwn(path: string): Promise<void> {
  for (const name of files) await rm(join(path, name), { force: true });
  await rmdir(path).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  });
}
