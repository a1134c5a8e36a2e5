import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '#base/clock.ts';

/** Between two looks; a connection whose session has ended may send what is left of it from one look to the next. */
export const endedSessionMs = 5_000;

/**
 * Cuts off connections of HTTP/2 whose session has ended. Node does that once the last write is done; where the client has left by then
 * it may never hear of one (docs/kernel-notes.md#http2-last-write), nobody reads the connection any more, and no timer is left.
 */
export function cutEndedSessions(server: Http2SecureServer, clock: Clock): void {
  const open = new Map<ServerHttp2Session, TLSSocket>();
  let ended: ReadonlySet<ServerHttp2Session> = new Set();
  let isLooking = false;
  const look = (): void => {
    const before = ended;
    ended = new Set([...open.keys()].filter((session) => session.destroyed));
    for (const session of ended) if (before.has(session)) open.get(session)?.destroy();
    isLooking = open.size > 0;
    if (isLooking) clock.after(endedSessionMs, look);
  };
  // A session is made while its connection is told of, and does not give its socket away.
  let connection: TLSSocket | undefined;
  server.prependListener('secureConnection', (socket) => void (connection = socket));
  server.on('session', (session) => {
    const socket = connection;
    if (socket === undefined) return;
    open.set(session, socket);
    socket.once('close', () => open.delete(session));
    if (isLooking) return;
    isLooking = true;
    clock.after(endedSessionMs, look);
  });
}
