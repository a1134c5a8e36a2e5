/**
 * The runner (runner.c): starts one process and tells how far it is. Its end of the socket is this process's; what is started has this
 * process's streams, and belongs to whoever adopts it when both are gone.
 *
 *   caller                                     runner                        process
 *     |  -- request (header, strings, programs) -->|  -- clone -->                |
 *     |  <-- CLONED pid                            |                              |
 *     |  <-- REPORT paused                         |  <-- paused                  |  waits
 *     |  -- a byte -->                             |  -- a byte -->               |  goes on
 *     |  <-- REPORT ready, and the runner ends     |  <-- ready                   |  waits for its FIFO
 *     |  <-- EXECUTED | FAILED index errno | DIED  |                              |
 *     |  <-- EXITED status, where it waits (RUN_WAIT), and after FAILED and DIED
 */
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { isExecve, renderExecFailure } from '#native/launch/exec-failure.ts';
import { encodeProgram } from '#native/launch/program.ts';
import type { Program } from '#native/launch/program.ts';
import { renderStage } from '#native/launch/protocol.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';
import { reports } from './compile-bundle-process.ts';

export interface RunRequest {
  readonly program: Program;
  readonly prologue: Program;
  readonly args: readonly string[];
  readonly cloneFlags: number;
  /** What the user namespace's first process makes; with `uidMap` and `gidMap` as the kernel has them. */
  readonly users?:
    | { readonly cloneFlags: number; readonly uidMap: string; readonly gidMap: string }
    | undefined;
  /** A user namespace that is there. */
  readonly userPath?: string | undefined;
  /** cgroup.procs of where it goes. */
  readonly cgroupProcs?: string | undefined;
  /** Gets the terminal's master (runc, docs/terminals.md). */
  readonly consoleSocket?: string | undefined;
  readonly fifo?: string | undefined;
  /** Whose namespaces are joined; the process is then born there (OP_FORK). */
  readonly targetPid?: number | undefined;
  /** Until its end. */
  readonly waits: boolean;
  /** When it is killed, of one that is waited for. */
  readonly deadlineMs?: number | undefined;
}

export type RunEvent =
  | { readonly kind: 'cloned'; readonly pid: number }
  | { readonly kind: 'paused' | 'ready' | 'executed' | 'died'; readonly pid: number }
  /** As wait4(2) gives it, as a code: 128 and the signal. */
  | { readonly kind: 'exited'; readonly pid: number; readonly code: number };

export interface Run {
  /** The next thing that is learned; undefined after the last. @throws E_LAUNCH { index, errno } where an op failed */
  next(): Promise<RunEvent | undefined>;
  /** Lets a process that is paused go on. */
  go(): void;
  /** The exit code of one that is waited for. @throws E_LAUNCH, E_TIMEOUT */
  end(): Promise<number>;
}

const RUN = { WAIT: 1, USER: 2, FORK: 4, TARGET: 8 } as const;
const requestMagic = 0x504f_4349;
const headerBytes = 64;
const recordBytes = 16;
const steps: readonly string[] = [
  'read the request',
  'seal the runner',
  'make the user namespace',
  'map the ids of the user namespace',
  'enter namespaces of the user namespace',
  'open the cgroup',
  'connect the console socket',
  'open the FIFO of the start',
  'find the process of the container',
  'enter namespaces',
  'clone',
];
const prologueStep = 9;

/** How streams of the process are made: this process's own, or for a hook what is written to it, and what it says. */
export interface RunStdio {
  readonly input?: string;
}

export function startRun(binary: string, request: RunRequest, stdio: RunStdio = {}): Run {
  const own = stdio.input === undefined ? 'inherit' : 'pipe';
  const child = spawn(binary, [], { stdio: [own, 'inherit', 'inherit', 'pipe'], env: {} });
  const control = child.stdio[3] as Duplex;
  if (stdio.input !== undefined) {
    child.stdin?.on('error', () => undefined); // A hook need not read it.
    child.stdin?.end(stdio.input);
  }
  const failure = new Promise<Error | undefined>((resolve) => {
    child.once('error', resolve);
    control.once('close', () => resolve(undefined));
    control.once('error', () => undefined);
  });
  const records = readRecords(control);
  control.write(encodeRequest(request));
  const next = async (): Promise<RunEvent | undefined> => {
    const { done, value } = await records.next();
    if (done !== true) return eventOf(value, request);
    const error = await failure;
    if (error === undefined) return undefined;
    throw new PodwrightError('E_UNSUPPORTED', `execute ${binary}: ${error.message}`, { cause: error });
  };
  return { next, go: () => void control.write('g'), end: () => waitForEnd(next, request) };
}

async function waitForEnd(next: Run['next'], { deadlineMs }: RunRequest): Promise<number> {
  let pid: number | undefined;
  let isLate = false;
  const onDeadline = (): void => {
    isLate = true;
    if (pid !== undefined) killIfThere(pid);
  };
  using _timer = deadlineMs === undefined ? undefined : systemClock.after(deadlineMs, onDeadline);

  for (let event = await next(); event !== undefined; event = await next()) {
    if (event.kind === 'exited' && isLate)
      throw new PodwrightError('E_TIMEOUT', `not done in ${deadlineMs} ms`);
    if (event.kind === 'exited') return event.code;
    ({ pid } = event);
  }
  throw new PodwrightError('E_LAUNCH', 'the runner ended');
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

async function* readRecords(control: Duplex): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of control) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (; rest.length >= recordBytes; rest = rest.subarray(recordBytes)) yield rest.subarray(0, recordBytes);
  }
}

/** Pure. */
export function encodeRequest(request: RunRequest): Buffer {
  const { users, targetPid } = request;
  const strings = [
    request.cgroupProcs,
    request.consoleSocket,
    request.fifo,
    request.userPath,
    users?.uidMap,
    users?.gidMap,
  ].map((text) => (text === undefined ? Buffer.alloc(0) : Buffer.from(`${text}\0`)));
  const texts = Buffer.concat(strings);
  const padding = Buffer.alloc(-(headerBytes + texts.length) & 7);
  const [prologue, program] = [request.prologue, request.program].map((each) =>
    encodeProgram(each, hostArchitecture),
  ) as [Buffer, Buffer];
  const header = Buffer.alloc(headerBytes);
  const flags =
    (request.waits ? RUN.WAIT : 0) |
    (users === undefined ? 0 : RUN.USER) |
    (targetPid === undefined ? 0 : RUN.FORK | RUN.TARGET);
  header.writeUInt32LE(requestMagic, 0);
  header.writeUInt32LE(headerBytes + texts.length + padding.length + prologue.length + program.length, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(targetPid ?? 0, 12);
  header.writeBigUInt64LE(BigInt(request.cloneFlags), 16);
  header.writeBigUInt64LE(BigInt(users?.cloneFlags ?? 0), 24);
  strings.forEach((text, index) => header.writeUInt32LE(text.length, 32 + index * 4));
  header.writeUInt32LE(prologue.length, 56);
  header.writeUInt32LE(program.length, 60);
  return Buffer.concat([header, texts, padding, prologue, program]);
}

/** @throws E_LAUNCH */
function eventOf(record: Buffer, request: RunRequest): RunEvent {
  const [kind, index, error, pid] = [
    record.readUInt32LE(0),
    record.readInt32LE(4),
    record.readInt32LE(8),
    record.readUInt32LE(12),
  ];
  switch (kind) {
    case 1:
      return { kind: 'cloned', pid };
    case 2:
      return { kind: index === reports.ready ? 'ready' : 'paused', pid };
    case 4:
      return { kind: 'executed', pid };
    case 5:
      return { kind: 'died', pid };
    case 6:
      return { kind: 'exited', pid, code: exitCodeOf(error) };
    default:
      throw failureOf({ kind, index, errno: getSystemErrorName(-error) }, request);
  }
}

function exitCodeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

function failureOf(
  { kind, index, errno }: { readonly kind: number; readonly index: number; readonly errno: string },
  { program, prologue, args }: RunRequest,
): PodwrightError {
  const step = index & 0xff;
  const isStage = kind === 7;
  const failed = isStage ? prologue.ops[(index >> 8) - 1] : program.ops[index];
  const detail = { index, errno };
  if (!isStage && (isExecve(failed) || failed?.name === 'findProgram'))
    return new PodwrightError('E_LAUNCH', renderExecFailure(args, errno), { detail });
  const stage = isStage ? (steps[step] ?? 'start') : renderStage(index);
  const isNamed = failed !== undefined && (!isStage || step === prologueStep);
  return new PodwrightError('E_LAUNCH', `${isNamed ? failed.label : stage}: ${errno}`, { detail });
}
