import { rmSync } from 'node:fs';

import { PodwrightError } from '#base/errors.ts';
import { lstatIfThere } from '#bin/ownership/marker.ts';

/** Of sockaddr_un (unix(7)), without the byte that ends it. */
const pathBytesMax = 107;

/** @throws E_USAGE for a path that no socket can have */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= pathBytesMax) return;
  const why = `its path has ${bytes} bytes, and that of a socket at most ${pathBytesMax}`;
  throw new PodwrightError('E_USAGE', `listen on ${path}: ${why}; name a shorter directory with --data`);
}

/** Makes the way free for a socket: what an earlier process left goes, if it is a socket. @throws E_EXISTS, E_USAGE */
export function clearSocketPath(path: string): void {
  checkSocketPath(path);
  const found = lstatIfThere(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new PodwrightError('E_EXISTS', `listen on ${path}: something else is there; move it away`);
  }
  rmSync(path, { force: true });
}
