import { parseAccounts, type ImageAccounts } from './image-user.ts';
import { readLayeredFile } from './layered-file.ts';

/** Bound of an image's /etc/passwd and /etc/group, bytes. */
const accountsBytesMax = 1024 * 1024;

/** The accounts that an image knows. */
export async function readAccounts(lower: readonly string[]): Promise<ImageAccounts> {
  const read = (path: string): Promise<string | undefined> => readLayeredFile(lower, path, accountsBytesMax);
  const [passwd, group] = await Promise.all([read('/etc/passwd'), read('/etc/group')]);
  return parseAccounts(passwd ?? '', group ?? '');
}
