/** What containers and execs have in common: streams, identity, and the execve at the end. */
import { PodwrightError } from '#base/errors.ts';
import { capabilityMask } from './capabilities.ts';
import { KEYCTL, PR, SECCOMP, SIGKILL, TIOCSCTTY } from './kernel-constants.ts';
import { bytes, flags, number, text, textList, texts } from './program.ts';
import type { ProgramBuilder, ProgramData } from './program.ts';
import { compileHandleFilter, compileSeccompFilter, opensByHandle } from './seccomp.ts';
import type { Architecture } from './syscall-numbers.ts';
import type { ExecLaunch, LaunchStdio, LaunchUser } from './launch.ts';

/** Where execvp(3) looks without a PATH. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * A terminal, or pipes that belong to the user (so that /dev/stdout can be opened by name), of the root that is / by now.
 * @param owner as the host sees the user
 */
export function compileStdio(
  builder: ProgramBuilder,
  stdio: Pick<LaunchStdio, 'stdin' | 'tty'>,
  owner: number,
): void {
  if (stdio.tty) {
    builder.label('open a terminal');
    builder.op('openTty', [owner]);
    return;
  }
  if (!stdio.stdin) {
    // Until now it is the host's, whose mode and owner who has it may change.
    builder.label('read from /dev/null');
    builder.op('openNull', []);
  }
  if (owner === 0) return;
  builder.label('give the streams to the user');
  for (const fd of stdio.stdin ? [0, 1, 2] : [1, 2]) builder.op('fchown', [fd, owner, -1]);
}

/** Working directory, capabilities, user, no_new_privs, seccomp. */
export function compileIdentity(
  builder: ProgramBuilder,
  process: Pick<ExecLaunch, 'cwd' | 'user' | 'security'>,
  architecture: Architecture,
): void {
  const { security, user } = process;
  builder.label('leave the keys of the host');
  // Else whoever started the agent has a session keyring here. Not every kernel has keys, nor may every host use them.
  const join = flags(KEYCTL, 'KEYCTL_JOIN_SESSION_KEYRING');
  builder.op('keyctl', [join, 0], { tolerate: ['ENOSYS', 'EPERM'] });
  // While still root: a user without search permission may have been given the directory all the same.
  builder.label(`enter ${process.cwd}`);
  builder.op('enterPath', [text(process.cwd)]);
  const kept = capabilityMask(capabilitiesOf(security));
  const masks = [hex(kept & 0xffff_ffffn), hex(kept >> 32n)];
  if (!security.privileged) {
    builder.label('drop capabilities from the bounding set');
    builder.op('dropBounding', masks);
  }
  const filter = filterOf(security, architecture);
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes while that is still there; the default filter allows all that follows.
  if (filter !== undefined && !security.noNewPrivileges) compileFilter(builder, filter);
  compileUser(builder, user);
  if (!security.privileged) {
    builder.label(`keep ${security.capabilities.join(' ') || 'no capability'}`);
    builder.op('keepCaps', masks);
  }
  if (security.noNewPrivileges) {
    builder.label('gain no privileges');
    builder.op('prctl', [flags(PR, 'PR_SET_NO_NEW_PRIVS'), 1, 0, 0, 0]);
  }
  if (filter !== undefined && security.noNewPrivileges && !isLate(security)) compileFilter(builder, filter);
}

/** A profile of somebody's own may refuse what comes between here and execve: with no_new_privs it can wait until then. */
function isLate({ noNewPrivileges, seccomp }: ExecLaunch['security']): boolean {
  return noNewPrivileges && typeof seccomp === 'object';
}

/** What would make a device that nothing filters goes with the filter. */
function capabilitiesOf({ capabilities, nodev, privileged }: ExecLaunch['security']): readonly string[] {
  return nodev === true && !privileged ? capabilities.filter((name) => name !== 'CAP_MKNOD') : capabilities;
}

export function hex(value: bigint): ReturnType<typeof number> {
  return number(value, `0x${value.toString(16)}`);
}

export function compileUser(builder: ProgramBuilder, user: LaunchUser): void {
  builder.label(`become ${user.uid}:${user.gid}`);
  const groups = Buffer.alloc(user.additionalGids.length * 4);
  user.additionalGids.forEach((gid, index) => groups.writeUInt32LE(gid, index * 4));
  const list = groups.length === 0 ? number(0) : bytes(groups, `[${user.additionalGids.join(' ')}]`);
  builder.op('setgroups', [user.additionalGids.length, list]);
  builder.op('setresgid', [user.gid, user.gid, user.gid]);
  builder.op('setresuid', [user.uid, user.uid, user.uid]);
}

export interface NamedFilter {
  readonly name: string;
  readonly filter: Buffer;
  readonly flags?: number;
}

function filterOf(security: ExecLaunch['security'], architecture: Architecture): NamedFilter | undefined {
  const { capabilities, privileged, seccomp } = security;
  if (privileged) return undefined;
  if (seccomp === 'runtime-default')
    return { name: seccomp, filter: compileSeccompFilter(capabilities, architecture) };
  if (typeof seccomp === 'object') return { ...seccomp, filter: Buffer.from(seccomp.program, 'base64') };
  return opensByHandle(capabilities)
    ? { name: 'no open_by_handle_at', filter: compileHandleFilter(architecture) }
    : undefined;
}

export function compileFilter(builder: ProgramBuilder, { name, filter, flags: how = 0 }: NamedFilter): void {
  const length = filter.length / 8;
  const header = Buffer.alloc(16); // struct sock_fprog
  header.writeUInt16LE(length, 0);
  const program: ProgramData = {
    kind: 'data',
    bytes: header,
    pointers: [{ at: 8, to: bytes(filter, 'filter') }],
    text: `${name}, ${length} instructions`,
  };
  builder.label('filter system calls');
  builder.op('seccomp', [flags(SECCOMP, 'SECCOMP_SET_MODE_FILTER'), how, program]);
}

/**
 * The end of every program. Where processes of other containers can see this one (`isSeen`), it is not born among them before here: what
 * comes earlier is done by a process that stays outside, so that whoever may trace it there gets nothing that it would not have anyway.
 */
export function compileProcess(
  builder: ProgramBuilder,
  process: Pick<ExecLaunch, 'args' | 'env' | 'security'>,
  architecture: Architecture,
  how: { readonly isSeen: boolean; readonly tty: boolean } = { isSeen: false, tty: false },
): void {
  const [name] = process.args;
  if (name === undefined || name === '')
    throw new PodwrightError('E_INVALID', 'compile process: args are empty');
  if (how.isSeen) {
    builder.label('be born in the pid namespace');
    builder.op('fork', []);
    builder.op('setsid', []);
  }
  if (how.tty) {
    builder.label('take the terminal');
    builder.op('ioctl', [0, number(TIOCSCTTY, 'TIOCSCTTY'), 0]);
  }
  builder.label(`execute ${name}`);
  builder.op('umask', [number(0o022, '022')]);
  // After the last change of credentials, which would reset it: a container does not outlive its supervisor.
  builder.op('prctl', [flags(PR, 'PR_SET_PDEATHSIG'), number(SIGKILL, 'SIGKILL'), 0, 0, 0]);
  const filter = isLate(process.security) ? filterOf(process.security, architecture) : undefined;
  if (filter !== undefined) compileFilter(builder, filter);
  builder.label(`execute ${name}`);
  builder.op('execvePath', [
    textList(candidatesOf(name, process.env)),
    texts(process.args),
    renderEnv(process.env),
  ]);
}

/** Names only in what is printed: values may be secrets. */
export function renderEnv(env: readonly string[]): ProgramData {
  const names = env.map((assignment) => assignment.slice(0, Math.max(assignment.indexOf('='), 0)));
  return { ...texts(env), text: `env ${names.join(' ')}` };
}

/** Names longer than this are in no directory (NAME_MAX of linux/limits.h). */
const nameBytesMax = 255;

/** Of all places to look for a program: a PATH of a hundred thousand entries is not one that anybody means. */
const candidatesBytesMax = 1_048_576;

/** @throws {E_LIMIT} where there are more than candidatesBytesMax of them, {E_NOT_FOUND} for a name that nothing can have */
export function candidatesOf(name: string, env: readonly string[]): readonly string[] {
  if (name.includes('/')) return [name];
  if (Buffer.byteLength(name) > nameBytesMax)
    throw new PodwrightError('E_NOT_FOUND', `execute ${name.slice(0, 32)}…: ENAMETOOLONG`);
  const path =
    env.findLast((assignment) => assignment.startsWith('PATH='))?.slice('PATH='.length) ?? defaultPath;
  const directories = new Set(path.split(':'));
  if (path.length + directories.size * (name.length + 2) > candidatesBytesMax) {
    throw new PodwrightError(
      'E_LIMIT',
      `execute ${name}: PATH has ${directories.size} directories; shorten it`,
    );
  }
  // An empty entry is the working directory (POSIX, "Other Environment Variables").
  return [...directories].map((directory) => (directory === '' ? `./${name}` : `${directory}/${name}`));
}
