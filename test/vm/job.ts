import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { ensureSupervisor } from '#native/launch/build.ts';
import { bundlesDirectory, fileOfBundle } from '#bin/bundle/bundle.ts';
import { writeBundle } from '#bin/bundle/write-bundle.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { runCommand } from './command.ts';
import { fillCompileCache, nameCompileCache } from './compile-cache.ts';
import { guestNode, guestRoot } from './root-files.ts';

/** What of the repository runs in a guest; node_modules is in its image. */
const sources = [
  'package.json',
  'api',
  'base',
  'native',
  'client',
  'agent',
  'cni-plugins',
  'proto',
  'control-plane',
  'bin',
  'test/vm',
];

/** Packs the repository, the supervisor and the bundle (so that the guest needs no compiler), what Node makes of them, and a shell script into a tar for `runVm`. */
export async function packJob(directory: string, program: string): Promise<string> {
  const supervisor = relative(repositoryRoot, await ensureSupervisor());
  const target = join(directory, 'job.tar');
  await mkdir(directory, { recursive: true });
  if (fileOfBundle(repositoryRoot, 'main') === undefined) await writeBundle(repositoryRoot);
  await fillCompileCache(join(directory, 'build/compile-cache'), program);
  const cache = `${guestRoot}/build/compile-cache`;
  const script = [
    `cd ${guestRoot}`,
    nameCompileCache(cache),
    `export NODE_COMPILE_CACHE=${cache}`, // Where the units look, too.
    `exec ${guestNode} --disable-warning=ExperimentalWarning ${program}`,
  ];
  await writeFile(join(directory, 'job.sh'), `${script.join('\n')}\n`);
  await runCommand('tar', [
    '--create',
    `--file=${target}`,
    '--owner=0',
    '--group=0',
    '--exclude=*.test.ts',
    `--transform=s,^\\(${[...sources, 'build'].join('\\|').replaceAll('.', '\\.')}\\),${guestRoot.slice(1)}/\\1,`,
    `--directory=${repositoryRoot}`,
    ...sources,
    ...(supervisor.startsWith('build/') ? [supervisor] : []), // Else it is in native/.
    bundlesDirectory,
    `--directory=${directory}`,
    'build/compile-cache',
    'job.sh',
  ]);
  return target;
}
