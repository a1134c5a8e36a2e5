/** Our plugins where runtimes look for them: links to one forwarder, and beside them what it runs where no resident answers. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDurably } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { ensureForwarder } from '#native/launch/build.ts';
import { configureForwarder, isForwarder } from '#native/launch/forwarder.ts';
import { createPluginRegistry } from '#cni-plugins/registry.ts';
import { bundle } from './bundle.ts';
import { addonOf, placeProgram, removeOtherPrograms, type ProgramDirectory } from './place-program.ts';

export interface InstallOptions {
  /** Where programs that follow the CNI specification look, usually /opt/cni/bin. */
  readonly binDir: string;
  /** The Node that runs the plugins where no resident does. */
  readonly nodePath: string;
  /** Of the repository: what the bundle is made of, and where koffi is. */
  readonly root: string;
  /** Where residents listen, the first that answers is taken. */
  readonly sockets: readonly [string, string];
}

export interface InstalledPlugins {
  readonly paths: readonly string[];
  /** What runs the resident, and what keeps the leases of `dhcp`. */
  readonly resident: readonly string[];
  readonly dhcpDaemon: readonly string[];
}

const run = promisify(execFile);
/** Where the plugins of a directory have what they run. */
const placeIn = (binDir: string): ProgramDirectory => ({
  binDir,
  prefix: '.podwright-',
  names: ['plugins.cjs', 'load.cjs', 'plugins.cache', 'forwarder'],
});
/** A call of each command of three plugins, in namespaces of its own. */
const rehearsalMsMax = 60_000;

/** Puts a program for each of our plugins into a directory, each whole or not at all. Safe to repeat. @throws E_INVALID, E_UNSUPPORTED, errno */
export async function installPlugins(options: InstallOptions): Promise<InstalledPlugins> {
  const { binDir, nodePath, sockets } = options;
  await mkdir(binDir, { recursive: true, mode: 0o755 });
  const directory = await placeBundle(options, placeIn(binDir));
  const load = join(directory, 'load.cjs');
  const forwarder = join(directory, 'forwarder');
  const binary = configureForwarder(await readFile(await ensureForwarder()), {
    sockets,
    program: [nodePath, load],
  });
  await writeDurably(forwarder, binary, { mode: 0o755 });
  const paths: string[] = [];
  for (const name of createPluginRegistry().keys()) {
    const path = join(binDir, name);
    await linkOver(forwarder, path);
    paths.push(path);
  }
  await rehearse(options, directory);
  await removeOtherPrograms(placeIn(binDir), directory);
  return { paths, resident: [nodePath, load, 'resident'], dhcpDaemon: [nodePath, load, 'dhcp-daemon'] };
}

/** Removes what `installPlugins` put there; programs of others under the same names stay. */
export async function uninstallPlugins(binDir: string): Promise<void> {
  for (const name of createPluginRegistry().keys()) {
    const path = join(binDir, name);
    if (existsSync(path) && isForwarder(await readFile(path))) await unlink(path);
  }
  await removeOtherPrograms(placeIn(binDir), undefined);
}

async function placeBundle({ nodePath, root }: InstallOptions, directory: ProgramDirectory): Promise<string> {
  const packageFile = addonOf(root, 'CNI plugins');
  const files = {
    'plugins.cjs': { content: bundle({ root, entry: 'cni-plugins/program/program.ts', packageFile }) },
    'load.cjs': { content: await readFile(join(import.meta.dirname, 'load.cjs'), 'utf8') },
  };
  return placeProgram(directory, files, [nodePath, process.version]);
}

/** What is at the path goes on until its successor stands there. */
async function linkOver(file: string, path: string): Promise<void> {
  const draft = `${path}.podwright-${process.pid}`;
  await rm(draft, { force: true });
  await link(file, draft);
  await rename(draft, path);
}

/**
 * Calls the plugins once in namespaces of their own, so that V8 keeps the code of all that a call runs, and an installation that
 * cannot work is found out here. Where there may be no namespaces, calls are slower.
 */
async function rehearse({ nodePath, binDir }: InstallOptions, directory: string): Promise<void> {
  if (existsSync(join(directory, 'plugins.cache')) || process.geteuid?.() !== 0) return;
  const own = [nodePath, join(directory, 'load.cjs'), 'rehearse', binDir];
  try {
    await run('unshare', ['--net', '--mount', '--propagation', 'private', ...own], {
      timeout: rehearsalMsMax,
    });
  } catch (cause) {
    throw new PodwrightError('E_INTERNAL', `rehearse the CNI plugins of ${binDir}`, { cause });
  }
}
