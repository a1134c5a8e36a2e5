import { readdir } from 'node:fs/promises';
import { errnoOf } from '#base/errors.ts';

/** The names in a directory; none if there is no such directory. */
export async function listNames(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
