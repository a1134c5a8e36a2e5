/**
 * A launcher without a kernel: supervisors are objects that outlive their connections, programs are functions, and logs are real files.
 * It satisfies launcher.conformance.ts.
 */
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import { PodwrightError } from '#base/errors.ts';
import { systemClock } from '#base/clock.ts';
import type { Clock } from '#base/clock.ts';
import { renderExecFailure } from './exec-failure.ts';
import { formatLogLine, noPartialLine, splitLogLines } from './log-line.ts';
import type { LogStream, PartialLine } from './log-line.ts';
import { checkProcessId } from './launch.ts';
import type {
  ContainerLaunch,
  ExecLaunch,
  Launcher,
  LaunchStdio,
  MadeLaunch,
  ProcessExit,
  ProcessStreams,
  RunningProcess,
  Supervisor,
  SupervisorSpec,
} from './launch.ts';

/** What a process was made by; of one that a program makes, the program's arguments. */
export type FakeLaunch = ContainerLaunch | ExecLaunch | (MadeLaunch & { readonly args: MadeLaunch['make'] });

/** What a program sees of the process that it runs in. */
export interface FakeProcess {
  readonly id: string;
  readonly pid: number;
  readonly launch: FakeLaunch;
  /** Ends when the last writer closed it; at once without stdin. */
  readonly stdin: Readable;
  write(stream: LogStream, text: string | Buffer): void;
  /** Handles a signal instead of dying of it (SIGKILL cannot be handled). */
  onSignal(signal: number, handler: () => void): void;
  /** Aborted when the process is over, by return or by signal. */
  readonly ended: AbortSignal;
}

/** Runs until it returns its exit status. */
export type FakeProgram = (process: FakeProcess) => number | Promise<number>;

export interface FakeLauncherOptions {
  readonly clock?: Clock;
  /** The program of a launch; undefined: execve fails with ENOENT. Default: everything runs until it is killed. */
  readonly programOf?: (launch: FakeLaunch, id: string) => FakeProgram | undefined;
}

export interface FakeLauncher extends Launcher {
  /** SIGKILL of a supervisor: its connections see the end, its processes go with it. */
  killSupervisor(directory: string): void;
  /** It answers no more (SIGSTOP): each request is given up at once, as after its deadline. */
  hangSupervisor(directory: string): void;
  /** What was launched in a supervisor, in order. */
  launched(directory: string): readonly {
    readonly id: string;
    readonly launch: FakeLaunch;
    readonly stdio: LaunchStdio;
  }[];
  /** The next launch in a supervisor fails with this errno. */
  failNextLaunch(
    directory: string,
    failure: { readonly index: number; readonly errno: string; readonly op: string },
  ): void;
}

/** A program that runs until it is killed. */
export const runUntilKilled: FakeProgram = () => new Promise<number>(() => undefined);

interface RunningFake {
  readonly id: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly isExec: boolean;
  /** The pid of its pid namespace's first process, with which all of it ends; undefined: the pod's or the host's. */
  readonly pidNamespace: number | undefined;
  readonly stdio: LaunchStdio;
  readonly stdin: PassThrough;
  readonly handlers: Map<number, () => void>;
  readonly attached: Set<FakeStreams>;
  readonly partial: Map<LogStream, PartialLine>;
  readonly over: AbortController;
}

interface FakeStreams {
  readonly stdout: PassThrough;
  readonly stderr: PassThrough | undefined;
}

interface FakeState {
  readonly spec: SupervisorSpec;
  readonly pid: number;
  readonly processes: Map<string, RunningFake>;
  readonly usedIds: Set<string>;
  readonly exits: ProcessExit[];
  readonly listeners: Set<(exit: ProcessExit | undefined) => void>;
  readonly launched: { id: string; launch: FakeLaunch; stdio: LaunchStdio }[];
  failure: { readonly index: number; readonly errno: string; readonly op: string } | undefined;
  isAlive: boolean;
  isHung: boolean;
}

/** A launcher whose supervisors live in this object: a second connectSupervisor() is an agent that came back. */
export function createFakeLauncher(options: FakeLauncherOptions = {}): FakeLauncher {
  const clock = options.clock ?? systemClock;
  const programOf = options.programOf ?? (() => runUntilKilled);
  const states = new Map<string, FakeState>();
  let nextPid = 1000;
  const stateOf = (directory: string): FakeState => {
    const state = states.get(directory);
    if (state === undefined)
      throw new PodwrightError('E_NOT_FOUND', `find supervisor ${directory}: never started`);
    return state;
  };
  const context: FakeContext = { clock, programOf, allocatePid: () => nextPid++ };
  return {
    startSupervisor: async (spec, after) => {
      await after;
      if (states.get(spec.directory)?.isAlive === true) {
        throw new PodwrightError('E_BUSY', `start supervisor ${spec.directory}: one is running there`);
      }
      if (!existsSync(spec.directory)) {
        throw new PodwrightError('E_LAUNCH', `start supervisor ${spec.directory}: chdir: ENOENT`, {
          detail: { index: -1, errno: 'ENOENT', op: 'chdir' },
        });
      }
      const state: FakeState = {
        spec,
        pid: nextPid++,
        processes: new Map(),
        usedIds: new Set(),
        exits: [],
        listeners: new Set(),
        launched: [],
        failure: undefined,
        isAlive: true,
        isHung: false,
      };
      states.set(spec.directory, state);
      return connectFake(state, context);
    },
    connectSupervisor: async (directory) => {
      const state = states.get(directory);
      return state?.isAlive === true ? connectFake(state, context) : undefined;
    },
    killSupervisor: (directory) => endSupervisor(stateOf(directory)),
    hangSupervisor: (directory) => void (stateOf(directory).isHung = true),
    launched: (directory) => stateOf(directory).launched,
    failNextLaunch: (directory, failure) => void (stateOf(directory).failure = failure),
  };
}

interface FakeContext {
  readonly clock: Clock;
  readonly programOf: NonNullable<FakeLauncherOptions['programOf']>;
  readonly allocatePid: () => number;
}

function endSupervisor(state: FakeState): void {
  state.isAlive = false;
  for (const process of state.processes.values()) {
    process.over.abort();
    endStreams(process);
  }
  state.processes.clear();
  const listeners = [...state.listeners];
  state.listeners.clear();
  for (const listener of listeners) listener(undefined);
}

function connectFake(state: FakeState, context: FakeContext): Supervisor {
  return new FakeSupervisor(state, context);
}

class FakeSupervisor implements Supervisor {
  readonly #state: FakeState;
  readonly #context: FakeContext;
  readonly #own = new Set<(exit: ProcessExit | undefined) => void>();
  #isOpen = true;

  constructor(state: FakeState, context: FakeContext) {
    this.#state = state;
    this.#context = context;
  }

  get pid(): number {
    return this.#state.pid;
  }

  get directory(): string {
    return this.#state.spec.directory;
  }

  async launch(...[id, launch, stdio]: Parameters<Supervisor['launch']>): Promise<RunningProcess> {
    this.#check();
    const [state, context] = [this.#state, this.#context];
    if (typeof launch.pidNamespace === 'object') checkTarget(state, id, launch.pidNamespace.ofPid);
    return describeProcess(startFake({ state, context, id, launch, stdio }));
  }

  async exec(...[id, launch, stdio]: Parameters<Supervisor['exec']>): ReturnType<Supervisor['exec']> {
    this.#check();
    checkTarget(this.#state, id, launch.targetPid);
    return this.#startExec({ id, launch, stdio });
  }

  #startExec({
    id,
    launch,
    stdio,
  }: {
    readonly id: string;
    readonly launch: FakeLaunch;
    readonly stdio: LaunchStdio;
  }): Awaited<ReturnType<Supervisor['exec']>> {
    const [state, context] = [this.#state, this.#context];
    let streams: ProcessStreams | undefined;
    const attach = (process: RunningFake): void => void (streams = attachFake(process, true));
    const process = startFake({ state, context, id, launch, stdio, attach, isExec: true });
    if (streams === undefined) throw new PodwrightError('E_INTERNAL', `exec ${id}: no streams`);
    return { process: describeProcess(process), streams };
  }

  async launchMade(...[id, made, stdio]: Parameters<Supervisor['launchMade']>): Promise<RunningProcess> {
    this.#check();
    const launch = { ...made, args: made.make };
    const [state, context] = [this.#state, this.#context];
    return describeProcess(startFake({ state, context, id, launch, stdio }));
  }

  async execMade(
    ...[id, made, stdio]: Parameters<Supervisor['execMade']>
  ): ReturnType<Supervisor['execMade']> {
    this.#check();
    return this.#startExec({ id, launch: { ...made, args: made.make }, stdio });
  }

  async attach(id: string): Promise<ProcessStreams> {
    this.#check();
    const process = this.#find(id, 'attach');
    return attachFake(process, process.stdio.stdinOnce);
  }

  async kill(id: string, signal: Parameters<Supervisor['kill']>[1]): Promise<void> {
    this.#check();
    const process = this.#state.processes.get(id);
    if (process !== undefined) signalFake(this.#state, this.#context, process, signal);
  }

  async reopenLog(id: string): Promise<void> {
    this.#check();
    this.#find(id, 'reopen log of');
  }

  async running(): Promise<readonly RunningProcess[]> {
    this.#check();
    return [...this.#state.processes.values()].map(describeProcess);
  }

  async exits(): Promise<readonly ProcessExit[]> {
    return [...this.#state.exits];
  }

  onExit(listener: (exit: ProcessExit | undefined) => void): Disposable {
    this.#check();
    this.#state.listeners.add(listener);
    this.#own.add(listener);
    return {
      [Symbol.dispose]: () => void (this.#state.listeners.delete(listener), this.#own.delete(listener)),
    };
  }

  async stop(): Promise<void> {
    this.#check();
    const { size } = this.#state.processes;
    if (size > 0) throw new PodwrightError('E_BUSY', `stop supervisor ${this.directory}: ${size} running`);
    endSupervisor(this.#state);
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    for (const listener of this.#own) this.#state.listeners.delete(listener);
  }

  #check(): void {
    const { directory } = this;
    if (!this.#isOpen) throw new PodwrightError('E_CLOSED', `use supervisor ${directory}: disposed`);
    if (!this.#state.isAlive)
      throw new PodwrightError('E_CONNECTION', `use supervisor ${directory}: it is gone`);
    if (this.#state.isHung) throw new PodwrightError('E_TIMEOUT', `ask supervisor ${directory}: no answer`);
  }

  #find(id: string, what: string): RunningFake {
    const process = this.#state.processes.get(id);
    if (process === undefined) throw new PodwrightError('E_NOT_FOUND', `${what} ${id}: no such process`);
    return process;
  }
}

function describeProcess(process: RunningFake): RunningProcess {
  return { id: process.id, pid: process.pid, startedAtMs: process.startedAtMs };
}

function launchError(
  id: string,
  failure: { readonly index: number; readonly errno: string; readonly op: string },
): PodwrightError {
  return new PodwrightError('E_LAUNCH', `launch ${id}: op ${failure.index} ${failure.op}: ${failure.errno}`, {
    detail: failure,
  });
}

function startFake(options: {
  readonly state: FakeState;
  readonly context: FakeContext;
  readonly id: string;
  readonly launch: FakeLaunch;
  readonly stdio: LaunchStdio;
  readonly attach?: (process: RunningFake) => void;
  readonly isExec?: boolean;
}): RunningFake {
  const { state, context, id, launch, stdio } = options;
  checkProcessId(id);
  if (state.usedIds.has(id)) throw new PodwrightError('E_EXISTS', `launch ${id}: the id is taken`);
  const failure = state.failure;
  state.failure = undefined;
  if (failure !== undefined) throw launchError(id, failure);
  const program = context.programOf(launch, id);
  if (program === undefined) {
    const detail = { index: 0, errno: 'ENOENT', op: 'execvePath' };
    throw new PodwrightError('E_LAUNCH', renderExecFailure(launch.args, detail.errno), { detail });
  }
  const pid = context.allocatePid();
  const process: RunningFake = {
    id,
    pid,
    startedAtMs: context.clock.now(),
    isExec: options.isExec === true,
    pidNamespace: pidNamespaceOf(state, launch, pid),
    stdio,
    stdin: new PassThrough(),
    handlers: new Map(),
    attached: new Set(),
    partial: new Map(),
    over: new AbortController(),
  };
  if (!stdio.stdin) process.stdin.end();
  if ('root' in launch && launch.root !== undefined) makeUpper(id, launch.root);
  if (stdio.logPath !== undefined) {
    mkdirSync(dirname(stdio.logPath), { recursive: true });
    appendFileSync(stdio.logPath, '');
  }
  state.usedIds.add(id);
  state.processes.set(id, process);
  state.launched.push({ id, launch, stdio });
  options.attach?.(process);
  const view: FakeProcess = {
    id,
    pid: process.pid,
    launch,
    stdin: process.stdin,
    write: (stream, text) => writeFake(context.clock, process, stream, Buffer.from(text)),
    onSignal: (signal, handler) => void process.handlers.set(signal, handler),
    ended: process.over.signal,
  };
  queueMicrotask(() => {
    void Promise.resolve(program(view)).then((code) =>
      endFake(state, context.clock, process, { code, signal: undefined }),
    );
  });
  return process;
}

function checkTarget(state: FakeState, id: string, pid: number): void {
  if (processOf(state, pid) === undefined)
    throw launchError(id, { index: -6, errno: 'ESRCH', op: `join pid ${pid}` });
}

function processOf(state: FakeState, pid: number): RunningFake | undefined {
  return [...state.processes.values()].find((process) => process.pid === pid);
}

function pidNamespaceOf(state: FakeState, launch: FakeLaunch, own: number): number | undefined {
  if ('make' in launch) return undefined;
  if ('targetPid' in launch) return processOf(state, launch.targetPid)?.pidNamespace;
  const { pidNamespace } = launch;
  if (typeof pidNamespace === 'object') return processOf(state, pidNamespace.ofPid)?.pidNamespace;
  return pidNamespace === 'private' ? own : undefined;
}

function makeUpper(id: string, root: ContainerLaunch['root']): void {
  if (root.kind !== 'overlay' || root.make === undefined) return;
  const { directory, mode } = root.make;
  if (existsSync(directory)) throw launchError(id, { index: 0, errno: 'EEXIST', op: `mkdirat ${directory}` });
  mkdirSync(directory, { mode: 0o700 });
  mkdirSync(root.work);
  mkdirSync(root.upper, { mode });
}

function writeFake(clock: Clock, process: RunningFake, stream: LogStream, chunk: Buffer): void {
  if (process.over.signal.aborted) return;
  const to: LogStream = process.stdio.tty ? 'stdout' : stream;
  for (const streams of process.attached) (to === 'stdout' ? streams.stdout : streams.stderr)?.write(chunk);
  if (process.stdio.logPath === undefined) return;
  const { lines, rest } = splitLogLines(process.partial.get(to) ?? noPartialLine, chunk);
  process.partial.set(to, rest);
  for (const line of lines)
    appendFileSync(process.stdio.logPath, formatLogLine(clock.now(), to, line.text, line.isFull));
}

/** The default actions of signal(7) that do not end a process: CONT, CHLD, URG, WINCH and the probe 0. */
const harmlessSignals: ReadonlySet<number> = new Set([0, 17, 18, 23, 28]);

function signalFake(state: FakeState, context: FakeContext, process: RunningFake, signal: number): void {
  const handler = signal === 9 ? undefined : process.handlers.get(signal);
  if (handler !== undefined) handler();
  else if (!harmlessSignals.has(signal))
    endFake(state, context.clock, process, { code: 128 + signal, signal });
}

function endFake(
  state: FakeState,
  clock: Clock,
  process: RunningFake,
  end: { readonly code: number; readonly signal: number | undefined },
): void {
  if (process.over.signal.aborted) return;
  for (const [stream, { text }] of process.partial) {
    if (text.length > 0 && process.stdio.logPath !== undefined) {
      appendFileSync(process.stdio.logPath, formatLogLine(clock.now(), stream, text, false));
    }
  }
  process.over.abort();
  state.processes.delete(process.id);
  const { id, pid, startedAtMs } = process;
  // As the kernel has it: the end of its first process is told when nothing of a pid namespace is left.
  for (const other of [...state.processes.values()].filter(({ pidNamespace }) => pidNamespace === pid))
    endFake(state, clock, other, { code: 137, signal: 9 });
  const exit: ProcessExit = { id, pid, ...end, startedAtMs, finishedAtMs: clock.now() };
  if (!process.isExec) state.exits.push(exit);
  endStreams(process);
  for (const listener of state.listeners) listener(exit);
}

function endStreams(process: RunningFake): void {
  for (const streams of process.attached) {
    streams.stdout.end();
    streams.stderr?.end();
  }
  process.attached.clear();
}

function attachFake(process: RunningFake, closesStdin: boolean): ProcessStreams {
  const streams: FakeStreams = {
    stdout: new PassThrough(),
    stderr: process.stdio.tty ? undefined : new PassThrough(),
  };
  process.attached.add(streams);
  const stdin = new PassThrough();
  stdin.on('data', (chunk: Buffer) => void process.stdin.write(chunk));
  stdin.on('end', () => void (closesStdin && process.stdin.end()));
  return {
    stdin: process.stdio.stdin ? stdin : undefined,
    stdout: streams.stdout,
    stderr: streams.stderr,
    resize: () => undefined,
    [Symbol.asyncDispose]: async () => {
      process.attached.delete(streams);
      streams.stdout.end();
      streams.stderr?.end();
    },
  };
}
