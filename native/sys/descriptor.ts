import type { Server, Socket } from 'node:net';

import { PodwrightError } from '#base/errors.ts';

/** Node has no public way to ask an open socket for its descriptor; child_process takes the same `_handle.fd`. */
export function descriptorOf(owner: Server | Socket): number {
  const handle: unknown = Reflect.get(owner, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0)
    throw new PodwrightError('E_INTERNAL', 'read the descriptor of an open socket: this Node hides it');
  return fd;
}
