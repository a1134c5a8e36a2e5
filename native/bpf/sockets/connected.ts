/** Which sockets of UDP are connected, and to whom: /proc/net/udp and udp6 (proc(5)). Pure. */
import { Buffer } from 'node:buffer';
import type { IpFamily } from '#base/ip.ts';
import type { SocketEnd } from './socket-balancer.ts';
import { writeAddress } from './socket-layout.ts';

export interface ConnectedSocket {
  /** As {@link encodeRemote} has it. */
  readonly remote: string;
  readonly inode: string;
}

/** An address and a port as the file of a family has them: words of 32 bits in the processor's order, in hexadecimal. @throws E_INVALID */
export function encodeRemote(end: SocketEnd, family: IpFamily): string {
  const address = Buffer.alloc(20);
  writeAddress(address, end);
  const words = family === 4 ? [12] : [0, 4, 8, 12];
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, '0');
  return `${words.map((at) => hex(address.readUInt32LE(at), 8)).join('')}:${hex(end.port, 4)}`;
}

/** Lines after the first: number, local, remote, …, the tenth is the inode. What is not connected has port 0. */
export function parseConnected(text: string): readonly ConnectedSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const [remote, inode] = [words[2], words[9]];
      return remote === undefined || inode === undefined || remote.endsWith(':0000')
        ? []
        : [{ remote, inode }];
    });
}
