import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { PodwrightError } from '#base/errors.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import type { Clock } from '#base/clock.ts';
import { parseResizes, type CommandChannels, type StreamRequest } from './channels.ts';

/** How long a client may take to open its streams (kubelet's streamCreationTimeout). */
const streamCreationMs = 30_000;

/**
 * Exec and attach over SPDY (v4.channel.k8s.io and older): the client opens one stream for each of error, stdin, stdout,
 * stderr and resize, told apart by the header `streamtype`.
 */
export async function spdyChannels(
  transport: Duplex,
  request: StreamRequest,
  { clock, hasStatus }: { readonly clock: Clock; readonly hasStatus: boolean },
): Promise<CommandChannels> {
  const wanted = new Set([
    'error',
    ...(request.stdin ? ['stdin'] : []),
    ...(request.stdout ? ['stdout'] : []),
    ...(request.stderr ? ['stderr'] : []),
    ...(request.tty && hasStatus ? ['resize'] : []),
  ]);
  const streams = new Map<string, SpdyStream>();
  const complete = Promise.withResolvers<void>();
  const session = new SpdySession({
    transport,
    clock,
    isServer: true,
    onStream: (stream) => {
      const type = stream.headers['streamtype'] ?? '';
      if (!wanted.has(type) || streams.has(type)) {
        stream.destroy();
        return;
      }
      streams.set(type, stream);
      if (streams.size === wanted.size) complete.resolve();
    },
  });
  {
    using _timer = clock.after(streamCreationMs, () =>
      complete.reject(new PodwrightError('E_TIMEOUT', 'wait for the streams of a client: timed out')),
    );

    session.closed.then(
      () => complete.reject(new PodwrightError('E_CONNECTION', 'client went away')),
      complete.reject,
    );
    await complete.promise;
  }
  const error = streams.get('error');
  error?.resume();
  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: streams.get('stderr'),
    onResize: (listener) => void streams.get('resize')?.on('data', parseResizes(listener)),
    finish: async (status) => {
      const text = hasStatus
        ? JSON.stringify(status)
        : status.status === 'Success'
          ? ''
          : (status.message ?? '');
      error?.end(text);
      const outputs = [streams.get('stdout'), streams.get('stderr'), error];
      for (const stream of outputs) stream?.end();
      await Promise.allSettled(
        outputs.flatMap((s) => (s === undefined ? [] : [finished(s, { readable: false })])),
      );
    },
    closed: session.closed,
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
