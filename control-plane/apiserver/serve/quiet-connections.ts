import { constants, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '#base/clock.ts';

/** Between two looks at all connections: what follows is as exact as that. */
const lookMs = 5_000;

export interface QuietTimes {
  /** After so long without a byte of the client, it is asked to go, and whether it is there. */
  readonly idleMs: number;
  /** How long it may take to say so. */
  readonly answeringMs: number;
  /** What a client may send between two looks that brings neither a request nor a body. */
  readonly emptyBytesMax: number;
}

interface Connection {
  readonly session: ServerHttp2Session;
  readonly socket: TLSSocket;
  bytesRead: number;
  quietSinceMs: number;
  isAsked: boolean;
  hasEnded: boolean;
  /** When it was looked at last: how far its requests and bodies had come. */
  progress: string;
}

/**
 * Ends connections of HTTP/2 that nobody uses. A quiet one is told that it takes no more requests, and ends when those under way have
 * ended: a watch may be one of them. Who does not answer a ping is cut off; so is one whose session has ended and whose last write is
 * not done by the next look: where a client has left by then Node may never hear of it (docs/kernel-notes.md#http2-last-write), nobody
 * reads the connection any more, and no timer is left; so is one that sends much and asks nothing. Looking at bytes costs a request nothing, which Node's own time-outs do.
 */
export function endQuietConnections(server: Http2SecureServer, clock: Clock, times: QuietTimes): void {
  const open = new Set<Connection>();
  let isLooking = false;
  const lookLater = (): void => {
    isLooking = open.size > 0;
    if (isLooking) clock.after(Math.min(lookMs, times.idleMs, times.answeringMs), lookAtAll);
  };
  const lookAtAll = (): void => {
    for (const connection of open) look(connection, clock.monotonic(), times);
    lookLater();
  };
  // A session is made while its connection is told of, and does not give its socket away.
  let latest: TLSSocket | undefined;
  server.prependListener('secureConnection', (socket) => void (latest = socket));
  server.on('session', (session) => {
    const socket = latest;
    if (socket === undefined) return;
    const quietSinceMs = clock.monotonic();
    const connection: Connection = {
      session,
      socket,
      bytesRead: 0,
      quietSinceMs,
      isAsked: false,
      hasEnded: false,
      progress: '',
    };
    open.add(connection);
    socket.once('close', () => open.delete(connection));
    if (!isLooking) lookLater();
  });
}

function look(connection: Connection, nowMs: number, times: QuietTimes): void {
  const { session, socket } = connection;
  const { idleMs, answeringMs } = times;
  if (session.destroyed) {
    if (connection.hasEnded) socket.destroy();
    connection.hasEnded = true;
    return;
  }
  if (socket.bytesRead !== connection.bytesRead) {
    if (isFlooding(connection, times)) {
      session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    connection.bytesRead = socket.bytesRead;
    connection.quietSinceMs = nowMs;
    connection.isAsked = false;
    return;
  }
  const quietMs = nowMs - connection.quietSinceMs;
  if (!connection.isAsked && quietMs >= idleMs) {
    connection.isAsked = true;
    session.close();
    if (!session.destroyed) session.ping(() => undefined);
  } else if (quietMs >= idleMs + answeringMs) session.destroy();
}

/** Frames upon frames, and no request and no body among them: nghttp2 bounds only those that it has to answer. */
function isFlooding(connection: Connection, { emptyBytesMax }: QuietTimes): boolean {
  const { lastProcStreamID, effectiveRecvDataLength } = connection.session.state;
  const progress = `${lastProcStreamID} ${effectiveRecvDataLength}`;
  const isStill = progress === connection.progress;
  connection.progress = progress;
  return isStill && connection.socket.bytesRead - connection.bytesRead > emptyBytesMax;
}
