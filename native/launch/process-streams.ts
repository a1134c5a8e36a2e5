/** The streams of an attached process as Node streams, with the protocol's credit in both directions. */
import { Readable, Writable } from 'node:stream';
import type { Connection } from './connection.ts';
import { streamWindowBytes } from './protocol.ts';
import type { ProcessStreams } from './launch.ts';

/** Credit is given back in pieces of at least this size: fewer messages, and never so late that the process waits for nothing. */
const creditBytesMin = streamWindowBytes / 4;

/** Receives the streams of `handle` from now on; the caller owns what is returned. `onDone` is told once, when nothing more will come. */
export function createProcessStreams(
  connection: Connection,
  handle: number,
  has: { readonly stdin: boolean; readonly tty: boolean; readonly onDone?: () => void },
): ProcessStreams {
  const stdout = createOutput((bytes) => connection.send({ kind: 'credit', handle, stream: 0, bytes }));
  const stderr = createOutput((bytes) => connection.send({ kind: 'credit', handle, stream: 1, bytes }));
  const stdin = createInput(connection, handle);
  const outputs = [stdout, stderr] as const;
  // A terminal has one output.
  const open = new Set<0 | 1>(has.tty ? [0] : [0, 1]);
  if (has.tty) stderr.end();
  if (!has.stdin) stdin.stream.destroy();
  const finish = (): void => {
    connection.forget(handle);
    stdin.stop();
    has.onDone?.();
  };
  connection.receive(handle, {
    onOutput: (stream, data) => outputs[stream].push(data),
    onOutputEnd: (stream) => {
      outputs[stream].end();
      open.delete(stream);
      if (open.size === 0) finish();
    },
    onStdinCredit: (bytes) => stdin.addCredit(bytes),
    onEnd: (error) => {
      for (const output of outputs) output.fail(error);
      finish();
    },
  });
  return {
    stdin: has.stdin ? stdin.stream : undefined,
    stdout: stdout.stream,
    stderr: has.tty ? undefined : stderr.stream,
    resize: (columns, rows) => void connection.send({ kind: 'resize', handle, columns, rows }),
    [Symbol.asyncDispose]: async () => {
      if (open.size > 0) connection.send({ kind: 'detach', handle });
      for (const output of outputs) output.end();
      finish();
    },
  };
}

interface Output {
  readonly stream: Readable;
  push(data: Buffer): void;
  end(): void;
  fail(error: Error): void;
}

function createOutput(giveCredit: (bytes: number) => void): Output {
  let owed = 0;
  let isEnded = false;
  const settle = (): void => {
    if (owed < creditBytesMin || isEnded) return;
    giveCredit(owed);
    owed = 0;
  };
  const stream = new Readable({ highWaterMark: streamWindowBytes, read: settle });
  // Whoever reads gets the error; where nobody reads it must not end the agent.
  stream.on('error', () => undefined);
  return {
    stream,
    push: (data) => {
      if (isEnded) return;
      owed += data.length;
      if (stream.push(data)) settle();
    },
    end: () => {
      if (!isEnded) stream.push(null);
      isEnded = true;
    },
    fail: (error) => {
      if (!isEnded) stream.destroy(error);
      isEnded = true;
    },
  };
}

interface Input {
  readonly stream: Writable;
  addCredit(bytes: number): void;
  /** The process reads no more: what is still written goes nowhere. */
  stop(): void;
}

function createInput(connection: Connection, handle: number): Input {
  let credit = streamWindowBytes;
  let isStopped = false;
  let pending: { data: Buffer; readonly done: () => void } | undefined;
  const pump = (): void => {
    if (pending === undefined) return;
    const data = isStopped ? Buffer.alloc(0) : pending.data.subarray(0, credit);
    if (data.length > 0) connection.send({ kind: 'stdin', handle, data });
    credit -= data.length;
    pending.data = pending.data.subarray(data.length);
    if (pending.data.length > 0 && !isStopped) return; // until credit comes
    const { done } = pending;
    pending = undefined;
    done();
  };
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      pending = { data: chunk, done };
      pump();
    },
    final: (done) => {
      if (!isStopped) connection.send({ kind: 'stdinClose', handle });
      done();
    },
  });
  stream.on('error', () => undefined);
  return {
    stream,
    addCredit: (bytes) => {
      credit += bytes;
      pump();
    },
    stop: () => {
      isStopped = true;
      pump();
    },
  };
}
