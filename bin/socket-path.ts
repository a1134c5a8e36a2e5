import { rmSync } from 'node:fs';

import { PodwrightError } from '#base/errors.ts';
import { lstatIfThere } from './ownership/marker.ts';

/** Makes the way free for a socket: what an earlier process left goes, if it is a socket. @throws E_EXISTS */
export function clearSocketPath(path: string): void {
  const found = lstatIfThere(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new PodwrightError('E_EXISTS', `listen on ${path}: something else is there; move it away`);
  }
  rmSync(path, { force: true });
}
