import {
  CLD_EXITED,
  P_PIDFD,
  PR_SET_CHILD_SUBREAPER,
  SYS_pidfd_getfd,
  SYS_pidfd_open,
  SYS_pidfd_send_signal,
  WEXITED,
  WNOHANG,
} from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { lastErrno, prctl, syscall, waitid } from './libc.ts';

const ESRCH = 3;
const EBADF = 9;
const ECHILD = 10;

/** pidfd_open(2): undefined when no such process is left. The descriptor is always close-on-exec. */
export function openPidfd(pid: number): OwnedFd | undefined {
  const fd = syscall(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
  if (fd >= 0) return new OwnedFd(fd);
  const errno = lastErrno();
  if (errno === ESRCH) return undefined;
  throw kernelError(`open pidfd of ${pid}`, errno);
}

/**
 * pidfd_getfd(2), since 5.6: a descriptor of what a process has open, of our own; undefined when it, or the process, is there no more.
 * @throws E_PERMISSION who may not trace the process
 */
export function takeDescriptor(pidfd: OwnedFd, fd: number): OwnedFd | undefined {
  const taken = syscall(SYS_pidfd_getfd, pidfd.fd, fd, 0, 0, 0, 0);
  if (taken >= 0) return new OwnedFd(taken);
  const errno = lastErrno();
  if (errno === EBADF || errno === ESRCH) return undefined;
  throw kernelError(`take descriptor ${fd} of a process`, errno);
}

/** pidfd_send_signal(2): whether the process was there to get it. Signal 0 only asks. */
export function signalPidfd(pidfd: OwnedFd, signal: number): boolean {
  if (syscall(SYS_pidfd_send_signal, pidfd.fd, signal, 0, 0, 0, 0) === 0) return true;
  const errno = lastErrno();
  if (errno === ESRCH) return false;
  throw kernelError(`send signal ${signal} through pidfd`, errno);
}

/** How a child ended: its exit status, or the signal that killed it. */
export type ChildEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: number };

/** siginfo_t of SIGCHLD on 64-bit Linux (asm-generic/siginfo.h): the union starts at 16. */
export const siginfoLayout = { size: 128, si_code: 8, si_pid: 16, si_status: 24 } as const;

/**
 * waitid(P_PIDFD, WEXITED|WNOHANG): reaps a child of ours that has ended. undefined while it runs.
 * @throws E_NOT_FOUND (errno ECHILD) when it is not our child or was reaped before
 */
export function reapPidfd(pidfd: OwnedFd): ChildEnd | undefined {
  const info = Buffer.alloc(siginfoLayout.size);
  if (waitid(P_PIDFD, pidfd.fd, info, WEXITED | WNOHANG) < 0) {
    const errno = lastErrno();
    const why = errno === ECHILD ? 'not a child of this process' : undefined;
    throw kernelError('wait for pidfd', errno, { why });
  }
  if (info.readInt32LE(siginfoLayout.si_pid) === 0) return undefined;
  const status = info.readInt32LE(siginfoLayout.si_status);
  return info.readInt32LE(siginfoLayout.si_code) === CLD_EXITED
    ? { kind: 'exited', code: status }
    : { kind: 'killed', signal: status };
}

/** prctl(PR_SET_CHILD_SUBREAPER): orphaned descendants become children of this process. */
export function becomeSubreaper(): void {
  checked(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 'become child subreaper');
}
