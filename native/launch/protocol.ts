/**
 * The supervisor's protocol on DIR/sock (unix stream), version 1; supervisor/wire.h is the other half. Little-endian throughout.
 *
 *   frame:  u32 length (all of it) | u8 version | u8 type | u16 stream | u32 tag | body
 *
 *   agent                                  supervisor
 *     |  <-- HELLO {pid, flags, dropped}        |   at once after connect, or when started; another version ends the connection
 *     |  -- LAUNCH tag=n {id, program...} -->   |   clone; answered when execve succeeded or an op failed
 *     |  <-- REPLY tag=n {index, errno,         |   index -1: done; >= 0: the failed op; < -1: a stage of the supervisor's
 *     |             pid, handle, started}       |
 *     |  -- KILL | ATTACH | REOPEN_LOG | LIST | STOP tag=n -->      each answered by REPLY (LIST by RUNNING) with its tag
 *     |  <-- OUTPUT tag=handle, stream -- bytes |   at most as many as there is credit for: 128 KiB each to begin with
 *     |  -- CREDIT tag=handle, stream {bytes} ->|   the reader took them
 *     |  -- STDIN tag=handle -- bytes -->       |   the same the other way: STDIN_CREDIT comes back
 *     |  -- STDIN_CLOSE | RESIZE | DETACH tag=handle -->            not answered
 *     |  <-- OUTPUT_END tag=handle, stream      |   all output was sent
 *     |  <-- DETACHED tag=handle                |   the reader of a container was too slow (an exec waits for its reader instead)
 *     |  <-- EXIT {record}                      |   to every client; already in DIR/exits, which is a sequence of these records
 *
 * Whoever starts a supervisor is connected by the socket that is its stderr: HELLO comes when it is ready; where it cannot be, the text
 * `what: errno` and the end.
 *
 * Requests may be pipelined and arrive in pieces. A frame out of bounds (8 MiB; 1 MiB for a supervisor whose hello lacks flag 2), an
 * unknown type, or more than there was credit for ends the connection; so does a client that leaves 1 MiB unread.
 */
import { PodwrightError } from '#base/errors.ts';
import { getSystemErrorName } from 'node:util';
import type { ProcessExit, RunningProcess } from './launch.ts';

export const wireVersion = 1;
export const frameHeaderBytes = 12;
/** Where a frame has its version. */
export const versionOffset = 4;
/**
 * A frame at most, header included: a launch with as much in arguments and environment as execve(2) takes (2 MiB with its pointers), in
 * the many small strings that have the most to be said about, and its mounts.
 */
export const frameBytesMax = 8_388_608;
/** The same of a supervisor that does not say in its hello that it takes more. */
const frameBytesMaxBefore = 1_048_576;
/** Credit of each stream when it is attached. */
export const streamWindowBytes = 131_072;
const idBytes = 64;
export const exitRecordBytes = 96;
const runningBytes = 80;

export const MSG = {
  LAUNCH: 1,
  KILL: 2,
  ATTACH: 3,
  DETACH: 4,
  STDIN: 5,
  STDIN_CLOSE: 6,
  CREDIT: 7,
  RESIZE: 8,
  REOPEN_LOG: 9,
  LIST: 10,
  STOP: 11,
  HELLO: 64,
  REPLY: 65,
  RUNNING: 66,
  EXIT: 67,
  OUTPUT: 68,
  OUTPUT_END: 69,
  STDIN_CREDIT: 70,
  DETACHED: 71,
} as const;

export const LAUNCH = {
  STDIN: 1,
  STDIN_ONCE: 2,
  TTY: 4,
  ATTACH: 8,
  EXEC: 16,
  POD_PID: 32,
  HOST_PID: 64,
  /** Both of the bits above, which a supervisor refuses that does not know this yet: it must not start the process elsewhere. */
  TARGET_PID: 96,
  BY_PROGRAM: 128,
} as const;

/** What failed where no op of the program did, by the reply's index. */
const stages: Readonly<Record<number, string>> = {
  [-2]: 'read the request',
  [-3]: 'take a slot (too many processes or clients)',
  [-4]: 'open the log',
  [-5]: 'make the streams',
  [-6]: 'find the running target process',
  [-7]: 'enter the cgroup',
  [-8]: 'clone',
  [-9]: 'choose the pid namespace (the pod has another)',
  [-10]: 'take the id (it is in use)',
  [-11]: 'find the process',
  [-12]: 'start (it was killed meanwhile)',
  [-13]: 'take what the program made (it is no process of the pod)',
};

/** The words for a negative index of a reply. */
export function renderStage(index: number): string {
  return stages[index] ?? `stage ${index}`;
}

export interface LaunchRequest {
  readonly id: string;
  readonly flags: number;
  readonly targetPid: number;
  readonly cloneFlags: number;
  readonly logPath: string | undefined;
  readonly cgroup: string | undefined;
  readonly program: Buffer;
}

export type RequestMessage =
  | { readonly kind: 'launch'; readonly tag: number; readonly launch: LaunchRequest }
  | {
      readonly kind: 'kill';
      readonly tag: number;
      readonly id: string;
      readonly signal: number;
      readonly all: boolean;
    }
  | { readonly kind: 'attach' | 'reopenLog'; readonly tag: number; readonly id: string }
  | { readonly kind: 'list' | 'stop'; readonly tag: number }
  | { readonly kind: 'stdin'; readonly handle: number; readonly data: Buffer }
  | { readonly kind: 'stdinClose' | 'detach'; readonly handle: number }
  | { readonly kind: 'credit'; readonly handle: number; readonly stream: 0 | 1; readonly bytes: number }
  | { readonly kind: 'resize'; readonly handle: number; readonly columns: number; readonly rows: number };

export interface Reply {
  readonly index: number;
  /** Errno name; undefined: done. */
  readonly errno: string | undefined;
  readonly pid: number;
  readonly handle: number;
  readonly startedAtMs: number;
  /** The process's LAUNCH flags. */
  readonly flags: number;
}

export type EventMessage =
  | {
      readonly kind: 'hello';
      readonly pid: number;
      readonly hasPodPid: boolean;
      /** Processes may be made by programs (LAUNCH.BY_PROGRAM). */
      readonly takesPrograms: boolean;
      /** Bytes of a frame that it takes. */
      readonly frameBytesMax: number;
      readonly logBytesDropped: number;
    }
  | { readonly kind: 'reply'; readonly tag: number; readonly reply: Reply }
  | { readonly kind: 'running'; readonly tag: number; readonly processes: readonly RunningProcess[] }
  | { readonly kind: 'exit'; readonly exit: ProcessExit }
  | { readonly kind: 'output'; readonly handle: number; readonly stream: 0 | 1; readonly data: Buffer }
  | { readonly kind: 'outputEnd'; readonly handle: number; readonly stream: 0 | 1 }
  | { readonly kind: 'stdinCredit'; readonly handle: number; readonly bytes: number }
  | { readonly kind: 'detached'; readonly handle: number };

/** One frame. @throws E_LIMIT where it would be longer than `bytesMax`, what the supervisor takes. */
export function encodeRequest(message: RequestMessage, bytesMax: number = frameBytesMax): Buffer {
  const encoded = encodeAny(message);
  if (encoded.length <= bytesMax) return encoded;
  throw new PodwrightError(
    'E_LIMIT',
    `ask supervisor to ${message.kind}: ${encoded.length} bytes, at most ${bytesMax}; a launch is made of arguments, environment and mounts: give less, or in files`,
  );
}

function encodeAny(message: RequestMessage): Buffer {
  switch (message.kind) {
    case 'launch':
      return frame(MSG.LAUNCH, message.tag, encodeLaunch(message.launch));
    case 'kill': {
      const body = Buffer.alloc(idBytes + 8);
      body.write(message.id, 'latin1');
      body.writeInt32LE(message.signal, idBytes);
      body.writeUInt32LE(message.all ? 1 : 0, idBytes + 4);
      return frame(MSG.KILL, message.tag, body);
    }
    case 'attach':
      return frame(MSG.ATTACH, message.tag, encodeId(message.id));
    case 'reopenLog':
      return frame(MSG.REOPEN_LOG, message.tag, encodeId(message.id));
    case 'list':
      return frame(MSG.LIST, message.tag, Buffer.alloc(0));
    case 'stop':
      return frame(MSG.STOP, message.tag, Buffer.alloc(0));
    case 'stdin':
      return frame(MSG.STDIN, message.handle, message.data);
    case 'stdinClose':
      return frame(MSG.STDIN_CLOSE, message.handle, Buffer.alloc(0));
    case 'detach':
      return frame(MSG.DETACH, message.handle, Buffer.alloc(0));
    case 'credit': {
      const body = Buffer.alloc(8);
      body.writeUInt32LE(message.bytes, 0);
      return frame(MSG.CREDIT, message.handle, body, message.stream);
    }
    case 'resize': {
      const body = Buffer.alloc(8);
      body.writeUInt16LE(message.columns, 0);
      body.writeUInt16LE(message.rows, 2);
      return frame(MSG.RESIZE, message.handle, body);
    }
  }
}

function frame(type: number, tag: number, body: Buffer, stream = 0): Buffer {
  const length = frameHeaderBytes + body.length;
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32LE(length, 0);
  header.writeUInt8(wireVersion, versionOffset);
  header.writeUInt8(type, 5);
  header.writeUInt16LE(stream, 6);
  header.writeUInt32LE(tag, 8);
  return Buffer.concat([header, body]);
}

function encodeId(id: string): Buffer {
  const body = Buffer.alloc(idBytes);
  body.write(id, 'latin1');
  return body;
}

function encodeLaunch(launch: LaunchRequest): Buffer {
  const log = launch.logPath === undefined ? Buffer.alloc(0) : Buffer.from(`${launch.logPath}\0`);
  const cgroup = launch.cgroup === undefined ? Buffer.alloc(0) : Buffer.from(`${launch.cgroup}\0`);
  const padding = Buffer.alloc(-(log.length + cgroup.length) & 7);
  const head = Buffer.alloc(idBytes + 32);
  head.write(launch.id, 'latin1');
  head.writeUInt32LE(launch.flags, idBytes);
  head.writeUInt32LE(launch.targetPid, idBytes + 4);
  head.writeBigUInt64LE(BigInt(launch.cloneFlags), idBytes + 8);
  head.writeUInt32LE(log.length, idBytes + 16);
  head.writeUInt32LE(cgroup.length, idBytes + 20);
  head.writeUInt32LE(launch.program.length, idBytes + 24);
  return Buffer.concat([head, log, cgroup, padding, launch.program]);
}

/** The message of one whole frame. @throws E_INVALID where the frame does not hold together. */
export function decodeEvent(whole: Buffer): EventMessage {
  const type = whole.readUInt8(5);
  const stream = whole.readUInt16LE(6);
  const tag = whole.readUInt32LE(8);
  const body = whole.subarray(frameHeaderBytes);
  const need = (length: number): void => {
    if (body.length !== length)
      throw new PodwrightError('E_INVALID', `decode message ${type}: ${body.length} bytes`);
  };
  switch (type) {
    case MSG.HELLO: {
      need(16);
      const logBytesDropped = Number(body.readBigUInt64LE(8));
      return {
        kind: 'hello',
        pid: body.readUInt32LE(0),
        hasPodPid: (body.readUInt32LE(4) & 1) === 1,
        takesPrograms: (body.readUInt32LE(4) & 4) === 4,
        frameBytesMax: (body.readUInt32LE(4) & 2) === 2 ? frameBytesMax : frameBytesMaxBefore,
        logBytesDropped,
      };
    }
    case MSG.REPLY:
      need(32);
      return { kind: 'reply', tag, reply: decodeReply(body) };
    case MSG.RUNNING:
      need(Math.floor(body.length / runningBytes) * runningBytes);
      return { kind: 'running', tag, processes: decodeRunning(body) };
    case MSG.EXIT:
      need(exitRecordBytes);
      return { kind: 'exit', exit: decodeExitRecord(body) };
    case MSG.OUTPUT:
      return { kind: 'output', handle: tag, stream: decodeStream(stream), data: body };
    case MSG.OUTPUT_END:
      need(0);
      return { kind: 'outputEnd', handle: tag, stream: decodeStream(stream) };
    case MSG.STDIN_CREDIT:
      need(8);
      return { kind: 'stdinCredit', handle: tag, bytes: body.readUInt32LE(0) };
    case MSG.DETACHED:
      need(0);
      return { kind: 'detached', handle: tag };
    default:
      throw new PodwrightError('E_INVALID', `decode message ${type}: unknown type`);
  }
}

function decodeStream(stream: number): 0 | 1 {
  if (stream === 0 || stream === 1) return stream;
  throw new PodwrightError('E_INVALID', `decode output: stream ${stream}`);
}

function decodeReply(body: Buffer): Reply {
  const errno = body.readInt32LE(4);
  return {
    index: body.readInt32LE(0),
    errno: errno === 0 ? undefined : renderErrno(errno),
    pid: body.readUInt32LE(8),
    handle: body.readUInt32LE(12),
    startedAtMs: decodeTime(body, 16),
    flags: body.readUInt32LE(24),
  };
}

/** An errno's name, or `errno N` for one that has none. */
export function renderErrno(errno: number): string {
  return errno > 0 && errno < 4096
    ? getSystemErrorName(-errno).replace(/^Unknown.*/, `errno ${errno}`)
    : `errno ${errno}`;
}

function decodeRunning(body: Buffer): readonly RunningProcess[] {
  return Array.from({ length: body.length / runningBytes }, (_, index) => {
    const entry = body.subarray(index * runningBytes);
    return {
      id: decodeId(entry),
      pid: entry.readUInt32LE(idBytes),
      startedAtMs: decodeTime(entry, idBytes + 8),
    };
  });
}

/** One record of DIR/exits. */
export function decodeExitRecord(record: Buffer): ProcessExit {
  const status = record.readInt32LE(idBytes + 4);
  const signal = status & 0x7f; // wait(2): WTERMSIG
  return {
    id: decodeId(record),
    pid: record.readUInt32LE(idBytes),
    code: signal === 0 ? (status >> 8) & 0xff : 128 + signal,
    signal: signal === 0 ? undefined : signal,
    startedAtMs: decodeTime(record, idBytes + 8),
    finishedAtMs: decodeTime(record, idBytes + 16),
  };
}

/** The records of DIR/exits; one that was cut off at the end (power loss) is left out. */
export function decodeExits(content: Buffer): readonly ProcessExit[] {
  return Array.from({ length: Math.floor(content.length / exitRecordBytes) }, (_, index) =>
    decodeExitRecord(content.subarray(index * exitRecordBytes, (index + 1) * exitRecordBytes)),
  );
}

function decodeId(body: Buffer): string {
  const field = body.subarray(0, idBytes);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? idBytes : end);
}

/** Milliseconds with a fraction, from nanoseconds since the epoch. */
function decodeTime(body: Buffer, at: number): number {
  return Number(body.readBigUInt64LE(at)) / 1e6;
}
