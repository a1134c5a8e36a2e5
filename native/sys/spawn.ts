/**
 * A child process for a caller that knows what it starts. node:child_process forks, which copies the page tables of an agent of
 * a hundred megabytes for each child, and takes several turns of the event loop to tell of its end.
 */
import { AF_UNIX, O_RDWR, SOCK_CLOEXEC, SOCK_STREAM } from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { OwnedFd } from './fd.ts';
import {
  posixSpawn,
  socketpair,
  spawnActionsAddDup2,
  spawnActionsAddOpen,
  spawnActionsDestroy,
  spawnActionsInit,
  spawnAttributesInit,
  spawnAttributesSetFlags,
  spawnAttributesSetSigDefault,
  waitpid,
} from './libc.ts';
import type { ChildEnd } from './process.ts';

/** More than posix_spawn_file_actions_t (80 bytes) and posix_spawnattr_t (336) have in glibc and musl. */
const spawnStructBytes = 512;
const POSIX_SPAWN_SETSIGDEF = 0x04; // spawn.h
const POSIX_SPAWN_SETSIGMASK = 0x08;
const sigsetBytes = 128; // sigset_t of both C libraries; the first 64 bits are signals 1 to 64

export interface SpawnedProcess {
  readonly pid: number;
  /** The other end of the stream socket that is its stderr: it ends when the process, and whoever inherited it, has. The caller's to close. */
  readonly stderr: OwnedFd;
}

/**
 * posix_spawn(3): the calling thread waits until the child executes the program. stdin and stdout are /dev/null, the
 * environment is empty, every signal at its default and unblocked. The caller reaps it (`reapProcess`).
 */
export function spawnProcess(path: string, args: readonly string[]): SpawnedProcess {
  const attempt = `start ${path}`;
  const ends = Buffer.alloc(8);
  checked(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), attempt);
  using own = new OwnedFd(ends.readInt32LE(0));
  using given = new OwnedFd(ends.readInt32LE(4));

  const pid = Buffer.alloc(4);
  const actions = Buffer.alloc(spawnStructBytes);
  const succeed = (errno: number): void => {
    if (errno !== 0) throw kernelError(attempt, errno);
  };
  succeed(spawnActionsInit(actions));
  using _actions = { [Symbol.dispose]: () => void spawnActionsDestroy(actions) };

  for (const fd of [0, 1]) succeed(spawnActionsAddOpen(actions, fd, '/dev/null', O_RDWR, 0));
  succeed(spawnActionsAddDup2(actions, given.fd, 2));
  succeed(posixSpawn(pid, path, actions, defaultSignals(), [path, ...args, null], [null]));
  return { pid: pid.readInt32LE(0), stderr: new OwnedFd(own.takeFd()) };
}

/** Node ignores SIGPIPE, and an ignored signal stays ignored over execve. Attributes hold no memory in glibc and musl. */
function defaultSignals(): Buffer {
  const attributes = Buffer.alloc(spawnStructBytes);
  spawnAttributesInit(attributes); // Leaves the signal mask empty.
  spawnAttributesSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const all = Buffer.alloc(sigsetBytes);
  all.fill(0xff, 0, 8);
  spawnAttributesSetSigDefault(attributes, all);
  return attributes;
}

/** waitpid(2): waits for the end of a child of ours and reaps it. Blocks: for one that is known to be ending. */
export function reapProcess(pid: number): ChildEnd {
  const status = Buffer.alloc(4);
  checked(waitpid(pid, status, 0), `wait for ${pid}`);
  const value = status.readInt32LE(0);
  const signal = value & 0x7f; // WTERMSIG
  return signal === 0 ? { kind: 'exited', code: (value >> 8) & 0xff } : { kind: 'killed', signal };
}
