/** The launch port on Linux: starts supervisors, compiles launches, and speaks with them. */
import { writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { ErrorCode } from '#base/errors.ts';
import { reapProcess, spawnProcess } from '#native/sys/spawn.ts';
import { ensureSupervisor } from './build.ts';
import { compileContainer, containerCloneFlags } from './compile-container.ts';
import { compileExec } from './compile-exec.ts';
import { compileMade } from './made/compile-made.ts';
import { renderIdMap } from './compile-user-namespace.ts';
import { isExecve, renderExecFailure } from './exec-failure.ts';
import { awaitConnection, openConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { checkProcessId } from './launch.ts';
import { createProcessStreams } from './process-streams.ts';
import { encodeProgram, renderOp } from './program.ts';
import type { Program } from './program.ts';
import { decodeExits, LAUNCH, renderErrno, renderStage } from './protocol.ts';
import type { LaunchRequest, Reply } from './protocol.ts';
import { hostArchitecture } from './syscall-numbers.ts';
import type {
  ContainerLaunch,
  Launcher,
  LaunchStdio,
  MadeLaunch,
  ProcessExit,
  ProcessStreams,
  RunningProcess,
  Supervisor,
  SupervisorSpec,
} from './launch.ts';

export interface LauncherOptions {
  /** The supervisor's binary; that of the present source when it is not given. */
  readonly supervisorPath?: string;
}

/** sun_path is 108 bytes (unix(7)); the agent connects by the whole path. */
const directoryBytesMax = 100;

/** @throws E_UNSUPPORTED from the first start where there is no binary and no compiler. */
export function createLauncher(options: LauncherOptions = {}): Launcher {
  let binary: Promise<string> | undefined;
  return {
    startSupervisor: async (spec, after) => {
      binary ??=
        options.supervisorPath === undefined ? ensureSupervisor() : Promise.resolve(options.supervisorPath);
      return createSupervisor(spec.directory, await startSupervisor(await binary, spec, after));
    },
    connectSupervisor,
  };
}

async function connectSupervisor(directory: string): Promise<Supervisor | undefined> {
  const connection = await openConnection(join(directory, 'sock'));
  return connection === undefined ? undefined : createSupervisor(directory, connection);
}

/** The supervisor's arguments (supervisor/supervisor.c). Pure. */
export function renderSupervisorArguments(spec: SupervisorSpec): readonly string[] {
  return [
    spec.directory,
    ...(spec.netns === undefined ? [] : [`netns=${spec.netns}`]),
    ...(spec.hostname === undefined ? [] : [`hostname=${spec.hostname}`]),
    ...(spec.ipcNamespace ? ['ipc'] : []),
    ...(spec.pidNamespace ? ['pid'] : []),
    ...(spec.ids === undefined ? [] : [`user=${renderIdMap(spec.ids)}`]),
    ...(spec.cgroup === undefined ? [] : [`cgroup=${spec.cgroup}`]),
    ...Object.entries(spec.sysctls).map(([name, value]) => `sysctl=${name}=${value}`),
  ];
}

/** Runs the binary until it has gone into the background and said hello. */
async function startSupervisor(
  binary: string,
  spec: SupervisorSpec,
  after: Promise<unknown> | undefined,
): Promise<Connection> {
  if (!spec.directory.startsWith('/') || Buffer.byteLength(spec.directory) > directoryBytesMax) {
    throw new PodwrightError(
      'E_INVALID',
      `start supervisor ${spec.directory}: not an absolute path of at most ${directoryBytesMax} bytes`,
    );
  }
  const wait = after === undefined ? [] : ['wait'];
  const child = spawnProcess(binary, [...renderSupervisorArguments(spec), ...wait]);
  const fd = child.stderr.takeFd();
  const socket = new Socket({ fd, readable: true, writable: true });
  const starting = awaitConnection(socket, join(spec.directory, 'sock'));
  try {
    await after;
    if (after !== undefined) tellToGoOn(socket, fd);
  } catch (error) {
    socket.destroy();
    await starting; // Closed: what waits at the other end of it goes.
    reapProcess(child.pid);
    throw error;
  }
  const started = await starting;
  // It ends when the one in the background is ready, which is before that says hello, or has told why not.
  const end = reapProcess(child.pid);
  if ('connection' in started) return started.connection;
  if (end.kind === 'exited' && end.code === 0) {
    throw new PodwrightError('E_CONNECTION', `start supervisor ${spec.directory}: it ended at once`);
  }
  const [, op = 'supervisor', errno = '0'] = /^(.*): (\d+)\n$/s.exec(started.said) ?? [];
  const detail = { index: -1, errno: renderErrno(Number(errno)), op };
  throw new PodwrightError('E_LAUNCH', `start supervisor ${spec.directory}: ${op}: ${detail.errno}`, {
    detail,
  });
}

/** Not by the stream: one that cannot be written to throws away what is still to be read, which says why it ended. */
function tellToGoOn(socket: Socket, fd: number): void {
  if (socket.destroyed) return; // The number may be another's by now.
  try {
    writeSync(fd, '\0');
  } catch (error) {
    if (errnoOf(error) !== 'EPIPE') throw error;
  }
}

function createSupervisor(directory: string, connection: Connection): Supervisor {
  /** An attach has a connection of its own: the same process may be attached several times, and none is slowed by another. */
  const attached = new Set<Connection>();
  return {
    pid: connection.hello.pid,
    directory,
    launch: async (id, container, stdio) => {
      const program = compileContainer(container, stdio, hostArchitecture);
      const request = requestOf(id, program, stdio);
      const flags = request.flags | containerFlags(container);
      const launch = {
        ...request,
        flags,
        targetPid: targetPidOf(container),
        cloneFlags: containerCloneFlags(container),
        cgroup: container.cgroup,
      };
      return connection.request({ kind: 'launch', launch }, (reply) =>
        started(id, { program, args: container.args }, reply),
      );
    },
    exec: async (id, exec, stdio) => {
      const program = compileExec(exec, stdio, hostArchitecture);
      const request = requestOf(id, program, stdio);
      const flags = request.flags | LAUNCH.ATTACH | LAUNCH.EXEC;
      const launch = { ...request, flags, targetPid: exec.targetPid, cgroup: exec.cgroup };
      return connection.request({ kind: 'launch', launch }, (reply) => ({
        process: started(id, { program, args: exec.args }, reply),
        streams: createProcessStreams(connection, reply.handle, stdio),
      }));
    },
    launchMade: async (id, made, stdio) => {
      const { launch, what } = madeRequest(connection, { id, made, stdio });
      return connection.request({ kind: 'launch', launch }, (reply) => started(id, what, reply));
    },
    execMade: async (id, made, stdio) => {
      const { launch, what } = madeRequest(connection, { id, made, stdio });
      const flags = launch.flags | LAUNCH.ATTACH | LAUNCH.EXEC;
      return connection.request({ kind: 'launch', launch: { ...launch, flags } }, (reply) => ({
        process: started(id, what, reply),
        streams: createProcessStreams(connection, reply.handle, stdio),
      }));
    },
    attach: (id) => attach(directory, id, attached),
    kill: (id, signal, options = {}) =>
      connection.request({ kind: 'kill', id, signal, all: options.all === true }, (reply) =>
        check(`kill ${id} with signal ${signal}`, reply),
      ),
    reopenLog: (id) =>
      connection.request({ kind: 'reopenLog', id }, (reply) => check(`reopen log of ${id}`, reply)),
    running: () => connection.list(),
    exits: () => readExits(directory),
    onExit: (listener) => connection.onExit(listener),
    stop: () => connection.request({ kind: 'stop' }, (reply) => check(`stop supervisor ${directory}`, reply)),
    [Symbol.dispose]: () => {
      connection[Symbol.dispose]();
      for (const own of attached) own[Symbol.dispose]();
      attached.clear();
    },
  };
}

/** By a connection of its own, which is one of `attached` as long as it is open. */
async function attach(directory: string, id: string, attached: Set<Connection>): Promise<ProcessStreams> {
  const own = await openConnection(join(directory, 'sock'));
  if (own === undefined) throw new PodwrightError('E_CONNECTION', `attach ${id}: the supervisor is gone`);
  attached.add(own);
  const onDone = (): void => {
    attached.delete(own);
    own[Symbol.dispose]();
  };
  try {
    return await own.request({ kind: 'attach', id }, (reply) => {
      check(`attach ${id}`, reply);
      return createProcessStreams(own, reply.handle, { ...stdioOf(reply.flags), onDone });
    });
  } catch (error) {
    onDone();
    throw error;
  }
}

function requestOf(id: string, program: Program, stdio: LaunchStdio): LaunchRequest {
  checkProcessId(id);
  const flags =
    (stdio.stdin ? LAUNCH.STDIN : 0) |
    (stdio.stdinOnce ? LAUNCH.STDIN_ONCE : 0) |
    (stdio.tty ? LAUNCH.TTY : 0);
  return {
    id,
    flags,
    targetPid: 0,
    cloneFlags: 0,
    logPath: stdio.logPath,
    cgroup: undefined,
    program: encodeProgram(program, hostArchitecture),
  };
}

function madeRequest(
  { hello }: Connection,
  { id, made, stdio }: { readonly id: string; readonly made: MadeLaunch; readonly stdio: LaunchStdio },
): {
  readonly launch: LaunchRequest;
  readonly what: { readonly program: Program; readonly args: readonly string[] };
} {
  if (!hello.takesPrograms)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `launch ${id} by ${made.program}: the pod's supervisor is of an earlier release; make the pod anew`,
    );
  const program = compileMade(made, stdio);
  const request = requestOf(id, program, stdio);
  const flags = request.flags | LAUNCH.BY_PROGRAM;
  return { launch: { ...request, flags, cgroup: made.cgroup }, what: { program, args: made.make } };
}

function stdioOf(flags: number): { readonly stdin: boolean; readonly tty: boolean } {
  return { stdin: (flags & LAUNCH.STDIN) !== 0, tty: (flags & LAUNCH.TTY) !== 0 };
}

function containerFlags({ pidNamespace }: ContainerLaunch): number {
  if (typeof pidNamespace === 'object') return LAUNCH.TARGET_PID;
  if (pidNamespace === 'pod') return LAUNCH.POD_PID;
  return pidNamespace === 'host' ? LAUNCH.HOST_PID : 0;
}

function targetPidOf({ pidNamespace }: ContainerLaunch): number {
  return typeof pidNamespace === 'object' ? pidNamespace.ofPid : 0;
}

/** The process of a launch's reply. @throws E_LAUNCH { index, errno, op } */
function started(
  id: string,
  { program, args }: { readonly program: Program; readonly args: readonly string[] },
  reply: Reply,
): RunningProcess {
  const { errno, index } = reply;
  if (errno === undefined) return { id, pid: reply.pid, startedAtMs: reply.startedAtMs };
  const failed = program.ops[index];
  if (requestIndexes.has(index)) check(`launch ${id}`, reply);
  const op = failed === undefined ? renderStage(index) : renderOp(failed);
  const what = failed === undefined ? op : `op ${index} ${failed.label}`;
  const message = isExecve(failed) ? renderExecFailure(args, errno) : `launch ${id}: ${what}: ${errno}`;
  throw new PodwrightError('E_LAUNCH', message, { detail: { index, errno, op } });
}

/** Errors that have a code of their own; any other errno is the kernel's. */
const codes: Readonly<Record<string, ErrorCode>> = {
  EBUSY: 'E_BUSY',
  EEXIST: 'E_EXISTS',
  EMFILE: 'E_LIMIT',
  EINVAL: 'E_INVALID',
};
const noProcessIndex = -11;
/** Stages of a launch whose failure is about the request, not about the process. */
const requestIndexes: ReadonlySet<number> = new Set([-2, -3, -10]);

function check(what: string, reply: Reply): void {
  const { errno, index } = reply;
  if (errno === undefined) return;
  const code = index === noProcessIndex ? 'E_NOT_FOUND' : (codes[errno] ?? 'E_KERNEL');
  const stage = index < -1 ? `${renderStage(index)}: ` : '';
  throw new PodwrightError(code, `${what}: ${stage}${errno}`, { detail: { index, errno } });
}

async function readExits(directory: string): Promise<readonly ProcessExit[]> {
  try {
    return decodeExits(await readFile(join(directory, 'exits')));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new PodwrightError('E_KERNEL', `read exits of ${directory}: ${errnoOf(error)}`, { cause: error });
  }
}
