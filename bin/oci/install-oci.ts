/** `podwright-oci` where other programs find it: a script that runs one file of all its code, and beside that what it runs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { writeDurably } from '#base/durable-file.ts';
import { shellWord } from '#base/shell-word.ts';
import { bundle } from '#cni-plugins/program/bundle.ts';
import {
  addonOf,
  placeProgram,
  removeOtherPrograms,
  type ProgramDirectory,
} from '#cni-plugins/program/place-program.ts';
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
/** Where it has what it runs. */
const placeIn = (binDir: string): ProgramDirectory => ({
  binDir,
  prefix: '.podwright-oci-',
  names: ['oci.cjs', 'load.cjs', 'oci.cache', 'runner'],
});
const rehearsalMsMax = 60_000;

/** The program's path. Whole or not at all, safe to repeat. @throws E_INVALID, E_UNSUPPORTED, errno */
export async function installOci(options: InstallOciOptions): Promise<string> {
  const { nodePath } = options;
  const binDir = resolve(options.binDir);
  await mkdir(binDir, { recursive: true, mode: 0o755 });
  const directory = await placeBundle(options, placeIn(binDir));
  const load = join(directory, 'load.cjs');
  const command = [nodePath, load, version()].map(shellWord).join(' ');
  const path = join(binDir, 'podwright-oci');
  // V8 keeps the code of what ran: the texts of help and features have all modules in them.
  await run(nodePath, [load, version(), '--keep-code', 'features'], { timeout: rehearsalMsMax });
  await writeDurably(path, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  await removeOtherPrograms(placeIn(binDir), directory);
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
  await removeOtherPrograms(placeIn(resolve(binDir)), undefined);
  print(`podwright-oci in ${binDir} removed`);
}

async function placeBundle(
  { nodePath, root }: InstallOciOptions,
  directory: ProgramDirectory,
): Promise<string> {
  const packageFile = addonOf(root, 'podwright-oci');
  const files = {
    'oci.cjs': { content: bundle({ root, entry: 'oci-runtime/program/program.ts', packageFile }) },
    'load.cjs': { content: await readFile(join(root, 'oci-runtime/program/load.cjs'), 'utf8') },
    runner: { content: await readFile(await ensureRunner()), mode: 0o755 },
  };
  return placeProgram(directory, files, [nodePath, process.version]);
}
