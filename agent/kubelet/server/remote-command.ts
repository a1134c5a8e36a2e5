import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describeError } from '#base/errors.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { ProcessStreams } from '#native/launch/launch.ts';
import { exitStatus, internalError, success, type CommandChannels, type StreamRequest } from './channels.ts';

export interface CommandTarget {
  readonly podUid: string;
  readonly containerId: string;
}

export interface AttachTarget extends CommandTarget {
  /** The container's stdin stays open when a client has sent all: without stdinOnce, or as it is a terminal. */
  readonly keepsStdin: boolean;
}

/** Runs a command in a container with a client's streams; ends when the command does, or with the client. */
export async function serveExec(
  runtime: Runtime,
  target: CommandTarget & { readonly args: readonly string[]; readonly request: StreamRequest },
  channels: CommandChannels,
): Promise<void> {
  const abort = new AbortController();
  channels.closed.then(
    () => abort.abort(new DOMException('client gone', 'AbortError')),
    () => undefined,
  );
  const { stdin, tty } = target.request;
  const session = await runtime
    .exec(target.podUid, target.containerId, { args: target.args, stdin, tty }, abort.signal)
    .catch((error: unknown) => describeError(error));
  if (typeof session === 'string') {
    await channels.finish(internalError(session));
    return;
  }
  await using streams = session.streams;

  const output = connect(streams, channels);
  const ended = Promise.all([session.exitCode, output]).then(([exitCode]) => exitStatus(exitCode));
  const status = await Promise.race([ended, channels.closed.then(() => undefined)]).catch((error: unknown) =>
    internalError(describeError(error)),
  );
  // With its streams gone too, a command that waits for its client ends; one that does not, goes on as in a lost ssh session.
  if (status !== undefined) await channels.finish(status);
}

/**
 * Joins a client to the streams of a running container, until either ends. Of a container that keeps its stdin, a client that has sent all
 * is done, too: the container might wait for the next one for ever (containerd's attach ends so, and kubectl counts on it).
 */
export async function serveAttach(
  runtime: Pick<Runtime, 'attach'>,
  target: AttachTarget,
  channels: CommandChannels,
): Promise<void> {
  let streams: ProcessStreams;
  try {
    streams = await runtime.attach(target.podUid, target.containerId);
  } catch (error) {
    await channels.finish(internalError(describeError(error)));
    return;
  }
  await using attached = streams;

  const sent = Promise.withResolvers<typeof success>();
  const onSent = target.keepsStdin ? () => sent.resolve(success) : undefined;
  const output = connect(attached, channels, onSent).then(
    () => success,
    (error: unknown) => internalError(describeError(error)),
  );
  const status = await Promise.race([output, sent.promise, channels.closed.then(() => undefined)]);
  if (status !== undefined) await channels.finish(status);
}

/** Pipes both ways. Resolves when all output has been handed on. `onSent`: the client has sent all, and it was taken. */
function connect(streams: ProcessStreams, channels: CommandChannels, onSent?: () => void): Promise<unknown> {
  channels.onResize((columns, rows) => streams.resize(columns, rows));
  if (streams.stdin !== undefined && channels.stdin !== undefined)
    pipeInput(channels.stdin, streams.stdin, onSent);
  // A quick command has written to both before the first is read: errors go first, for clients that end with the data (kubectl cp).
  const errors = streams.stderr === undefined ? undefined : forward(streams.stderr, channels.stderr);
  return Promise.all([errors, forward(streams.stdout, channels.stdout)]);
}

function pipeInput(source: Readable, target: Writable, onSent?: () => void): void {
  // A command may end or close its stdin before the client has sent all: that is no failure.
  pipeline(source, target).then(onSent, () => source.resume());
}

/** What nobody asked for is read and dropped, so that the command does not block on it. */
async function forward(source: Readable, target: Writable | undefined): Promise<void> {
  if (target === undefined) {
    for await (const _ of source) continue;
    return;
  }
  await pipeline(source, target, { end: false });
}
