/** Our plugins where runtimes look for them: links to one forwarder, and beside them what it runs where no resident answers. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  rmdir,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { ensureForwarder } from '#native/launch/build.ts';
import { configureForwarder, isForwarder } from '#native/launch/forwarder.ts';
import { createPluginRegistry } from '#cni-plugins/registry.ts';
import { bundle } from './bundle.ts';

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
const draftPrefix = '.podwright-draft-';
const directoryName = /^\.podwright-[0-9a-f]{16}$/;
/** A call of each command of three plugins, in namespaces of its own. */
const rehearsalMsMax = 60_000;

/** Puts a program for each of our plugins into a directory, each whole or not at all. Safe to repeat. @throws E_INVALID, E_UNSUPPORTED, errno */
export async function installPlugins(options: InstallOptions): Promise<InstalledPlugins> {
  const { binDir, nodePath, sockets } = options;
  await mkdir(binDir, { recursive: true, mode: 0o755 });
  const directory = await placeBundle(options);
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
  await removeOthers(binDir, directory);
  return { paths, resident: [nodePath, load, 'resident'], dhcpDaemon: [nodePath, load, 'dhcp-daemon'] };
}

/** Removes what `installPlugins` put there; programs of others under the same names stay. */
export async function uninstallPlugins(binDir: string): Promise<void> {
  for (const name of createPluginRegistry().keys()) {
    const path = join(binDir, name);
    if (existsSync(path) && isForwarder(await readFile(path))) await unlink(path);
  }
  await removeOthers(binDir, undefined);
}

/** A directory named after what is in it: what V8 has kept of a text is not to meet another text of the same length. */
async function placeBundle({ binDir, nodePath, root }: InstallOptions): Promise<string> {
  const text = bundle({ root, entry: 'cni-plugins/program/program.ts', packageFile: addonOf(root) });
  const load = await readFile(join(import.meta.dirname, 'load.cjs'), 'utf8');
  const hash = createHash('sha256').update([text, load, nodePath, process.version].join('\0')).digest('hex');
  const directory = join(binDir, `.podwright-${hash.slice(0, 16)}`);
  const draft = await mkdtemp(join(binDir, draftPrefix));
  await writeFile(join(draft, 'plugins.cjs'), text);
  await writeFile(join(draft, 'load.cjs'), load);
  await chmod(draft, 0o755);
  try {
    await rename(draft, directory);
  } catch (error) {
    await removeOwnDirectory(draft);
    // The same is there: two at once, or a second time.
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
  return directory;
}

/** koffi's addon: what its package does first is to look for it, which takes longer than the rest of a call. */
function addonOf(root: string): (name: string) => string {
  const require = createRequire(join(root, 'package.json'));
  return (name) => {
    require(name);
    const addon = Object.keys(require.cache).find((path) => path.endsWith(`${name}.node`));
    if (addon !== undefined) return addon;
    throw new PodwrightError('E_UNSUPPORTED', `bundle CNI plugins: ${name} has no addon for ${process.arch}`);
  };
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

/** Of earlier installations, of those that were cut short, and of all where none is kept. What somebody else put there stays. */
async function removeOthers(binDir: string, kept: string | undefined): Promise<void> {
  for (const name of await namesIn(binDir)) {
    const path = join(binDir, name);
    const isOurs = directoryName.test(name) || name.startsWith(draftPrefix);
    if (isOurs && path !== kept) await removeOwnDirectory(path);
  }
}

async function removeOwnDirectory(path: string): Promise<void> {
  for (const name of ['plugins.cjs', 'load.cjs', 'plugins.cache', 'forwarder'])
    await rm(join(path, name), { force: true });
  await rmdir(path).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  });
}
