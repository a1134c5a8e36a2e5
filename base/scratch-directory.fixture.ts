import { mkdirSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/**
 * A directory for the tests of a file, or of the `describe` that calls it: there before their first hook, gone after their last one. Its
 * name can be used at once. Where all of them are skipped vitest runs no hooks, and nothing is made that nobody would remove.
 */
export function scratchDirectory(prefix: string, parent: string = tmpdir()): string {
  const path = join(parent, `${prefix}${randomUUID().slice(0, 8)}`); // A socket's path is short.
  beforeAll(() => void mkdirSync(path, { mode: 0o700 }));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
