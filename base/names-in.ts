import { readdir } from 'node:fs/promises';
import { errnoOf } from './errors.ts';

/** The names in a directory; none where there is no such directory. @throws the kernel's other errors */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
