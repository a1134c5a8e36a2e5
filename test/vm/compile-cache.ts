/**
 * What Node keeps of the programs that a guest runs, made on the host: emulated, to strip types and to compile takes twenty times as
 * long. V8's bytecode is good on any processor of the kind, but the folder that Node looks in is named after the processor's features,
 * too (v8.cachedDataVersionTag()), and so gets its name in the guest.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { repositoryRoot } from '#bin/paths.ts';
import { runCommand } from './command.ts';
import { guestNode, guestRoot } from './root-files.ts';

/** In the name of the folder, until the guest knows. */
const unknownTag = 'TAG';

/** What the job asks of the program but its long-running parts. */
const commands = ['bin/install/install.ts', 'bin/join/join.ts', 'bin/token.ts'];

/** Node's keys are paths: the repository, "$1", is where the guest has it; "$2" is Node, "$3" a program of modules. */
const loadAtGuestPath = `mount -t tmpfs none /opt
mkdir ${guestRoot}
mount --rbind "$1" ${guestRoot}
"$2" ${guestRoot}/bin/podwright.ts load --programs
exec "$2" --input-type=module --eval "$3"`;

/** Loads what the guest's programs load, the job's with them, and keeps in `directory`, which is made anew, what Node makes of it. As root, or where users may have namespaces. */
export async function fillCompileCache(directory: string, program: string): Promise<void> {
  await rm(directory, { recursive: true, force: true }); // Of an earlier machine's job.
  await mkdir(directory, { recursive: true });
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const load = [...commands, program].map((path) => `await import('${guestRoot}/${path}');`).join('\n');
  const inNamespace = ['--mount', 'sh', '-ec', loadAtGuestPath, 'sh', repositoryRoot, guestNode, load];
  await runCommand('unshare', [...asRoot, ...inNamespace], {
    environment: { NODE_COMPILE_CACHE: directory },
  });
  const [made = '', ...others] = await readdir(directory);
  if (others.length > 0) throw new Error(`find what Node kept in ${directory}: more than one folder`);
  await rename(join(directory, made), join(directory, withoutTag(made)));
}

/** `v26.10.0-x64-310b2ce3-0`, a folder of Node's: version, processor, tag and user, with the tag left open. Pure. */
export function withoutTag(folder: string): string {
  const match = /^(v[\d.]+-\w+)-[0-9a-f]+-(\d+)$/.exec(folder);
  if (match === null) throw new Error(`find the tag in ${folder}, the name of what Node kept`);
  return `${match[1]}-${unknownTag}-${match[2]}`;
}

/** Lines for the guest's shell, which has busybox and Node: give the folder in `cache` its name. */
export function nameCompileCache(cache: string): string {
  const print = 'process.stdout.write(require("node:v8").cachedDataVersionTag().toString(16))';
  return [
    `made=$(echo ${cache}/*)`,
    `tag=$(${guestNode} --eval '${print}')`,
    `busybox mv "$made" "\${made%-${unknownTag}-*}-$tag-\${made##*-${unknownTag}-}"`,
  ].join('\n');
}
