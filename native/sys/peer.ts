/** Who is at the other end of a Unix socket (unix(7), SO_PEERCRED); node:net does not tell. */
import type { Socket } from 'node:net';
import { SO_PEERCRED, SOL_SOCKET } from './constants.ts';
import { descriptorOf } from './descriptor.ts';
import { checked } from './errno.ts';
import { getsockopt } from './libc.ts';

/** struct ucred (sys/socket.h): pid, uid, gid */
const ucredLayout = { size: 12, uid: 4 } as const;

/** The user that connected, as the kernel noted it then. @throws E_INTERNAL where it is closed, errno of getsockopt(2) */
export function peerUserOf(socket: Socket): number {
  const credentials = Buffer.alloc(ucredLayout.size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  checked(
    getsockopt(descriptorOf(socket), SOL_SOCKET, SO_PEERCRED, credentials, length),
    'read who connected',
  );
  return credentials.readUInt32LE(ucredLayout.uid);
}
