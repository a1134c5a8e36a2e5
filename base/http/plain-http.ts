import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';

const answer = 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n';

/** Whoever speaks HTTP to a port of HTTPS is told so, in the words of Go's net/http, instead of being cut off without any. */
export function answerPlainHttp(server: Pick<Server, 'on'>): void {
  const sockets = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    sockets.set(peer, socket);
    socket.once('close', () => {
      if (sockets.get(peer) === socket) sockets.delete(peer);
    });
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    // What encrypts has ended with the error; what it stood on has not.
    if (error.code !== 'ERR_SSL_HTTP_REQUEST') return;
    const plain = sockets.get(peerOf(socket));
    plain?.write(answer);
    plain?.destroySoon();
  });
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
