/** This host as handlers see it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { systemClock } from '#base/clock.ts';
import { collectOutput } from '#base/collect-output.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { permittedCapabilities } from '#native/launch/capabilities.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';
import type { MountInfo } from '#native/mount/mountinfo.ts';
import { programEnvironment, type HandlerHost, type ProgramEnd } from './oci-handler.ts';

/** A runtime that kills or removes a container; its own bound is shorter. */
const programMsMax = 30_000;
/** Of each stream of it; a document of features has 10 KiB. */
const outputBytesMax = 1_048_576;

export function createHandlerHost(options: {
  readonly cgroupRoot: string;
  readonly mounts: { readonly list: () => readonly MountInfo[] };
}): HandlerHost {
  return {
    architecture: hostArchitecture,
    permitted: permittedCapabilities(readFileSync('/proc/self/status', 'utf8')),
    cgroupRoot: options.cgroupRoot,
    mountPointOf: (path) => mountPointOf(options.mounts.list(), path),
    podPidNamespace,
    userNamespace,
    run: runProgram,
  };
}

/** Where the mount is that a path without links is in. Pure. */
export function mountPointOf(mounts: readonly Pick<MountInfo, 'target'>[], path: string): string {
  const targets = mounts.map(({ target }) => target);
  const around = targets.filter(
    (target) => target === '/' || path === target || path.startsWith(`${target}/`),
  );
  return around.reduce((longest, target) => (target.length > longest.length ? target : longest), '/');
}

/** Its first process is the supervisor's child, and the only one with that number in a namespace of its own (proc_pid_status(5), NSpid). */
async function podPidNamespace(supervisorPid: number): Promise<string> {
  const children = await readFile(`/proc/${supervisorPid}/task/${supervisorPid}/children`, 'utf8');
  for (const pid of children.split(' ').filter((each) => each !== '')) {
    try {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      if (/^NSpid:\t.*\t1$/m.test(status)) return `/proc/${pid}/ns/pid`;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ESRCH') throw error;
    }
  }
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find the pid namespace of supervisor ${supervisorPid}: it has none`,
  );
}

/** It is in none itself, but has the pod's open, which it sets processes into (supervisor/program.h, USER_FD). */
async function userNamespace(supervisorPid: number): Promise<string> {
  const directory = `/proc/${supervisorPid}/fd`;
  for (const fd of await readdir(directory)) {
    try {
      if ((await readlink(`${directory}/${fd}`)).startsWith('user:[')) return `${directory}/${fd}`;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error; // Closed meanwhile.
    }
  }
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find the user namespace of supervisor ${supervisorPid}: it has none`,
  );
}

async function runProgram(program: string, args: readonly string[], stdin = ''): Promise<ProgramEnd> {
  const env = Object.fromEntries(programEnvironment.map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = Promise.withResolvers<number>();
  child.once('error', ended.reject);
  child.once('close', (code, signal) => ended.resolve(code ?? (signal === null ? 1 : 137)));
  let isLate = false;
  using _late = systemClock.after(programMsMax, () => {
    isLate = true;
    child.kill('SIGKILL');
  });

  const [stdout, stderr] = [
    collectOutput(child.stdout, outputBytesMax),
    collectOutput(child.stderr, outputBytesMax),
  ];
  child.stdin.on('error', () => undefined); // It need not read it.
  child.stdin.end(stdin);
  try {
    const code = await ended.promise;
    if (isLate)
      throw new PodwrightError(
        'E_TIMEOUT',
        `run ${program} ${args.at(-1) ?? ''}: no end in ${programMsMax} ms`,
      );
    return { code, stdout: stdout(), stderr: stderr() };
  } catch (cause) {
    if (cause instanceof PodwrightError) throw cause;
    const errno = errnoOf(cause) ?? 'unknown error';
    throw new PodwrightError('E_NOT_FOUND', `run ${program}: ${errno}`, { cause });
  }
}
