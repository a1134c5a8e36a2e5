import type { Server, Socket } from 'node:net';
import { bytesOfIp, parseIp } from '#base/ip.ts';

/** Closes what an address has beyond so many connections, before anything is done for it. */
export function limitConnectionsByAddress(server: Server, countMax: number): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = addressKey(socket.remoteAddress ?? '');
    const count = counts.get(address) ?? 0;
    if (count >= countMax) {
      socket.destroy();
      return;
    }
    counts.set(address, count + 1);
    socket.once('close', () => {
      const left = (counts.get(address) ?? 0) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
  });
}

/** Whoever has an address of IPv6 has all of its /64. Pure. */
export function addressKey(text: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  const ip = parseIp(mapped ?? text);
  if (ip === undefined) return text;
  const bytes = bytesOfIp(ip);
  return Buffer.from(ip.family === 6 ? bytes.subarray(0, 8) : bytes).toString('hex');
}
