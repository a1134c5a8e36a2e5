import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** The binary messages of a WebSocket as one stream of bytes, for the SPDY tunnel of port-forward. */
export function websocketTransport(socket: WebSocket): Duplex {
  const duplex = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, callback) => {
      if (socket.readyState === socket.OPEN) socket.send(chunk, { binary: true }, callback);
      else callback(new Error('connection closed'));
    },
    final: (callback) => {
      socket.close(1000);
      callback();
    },
    destroy: (error, callback) => {
      socket.resume(); // The peer's close has to be seen.
      if (socket.readyState === socket.OPEN) socket.close(error === null ? 1000 : 1011);
      callback(error);
    },
  });
  socket.on('message', (raw) => {
    const bytes = Array.isArray(raw)
      ? Buffer.concat(raw)
      : Buffer.from(raw instanceof ArrayBuffer ? new Uint8Array(raw) : raw);
    if (!duplex.destroyed && !duplex.push(bytes)) socket.pause();
  });
  socket.on('close', () => void duplex.push(null));
  socket.on('error', (error) => duplex.destroy(error));
  socket.resume();
  return duplex;
}
