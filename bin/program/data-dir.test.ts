import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { describeError } from '#base/errors.ts';
import { dataDirError, diskFullError, ensureDataDir } from './data-dir.ts';

it.each([
  ['ENOTDIR', 'E_USAGE', 'no directory'],
  ['EROFS', 'E_UNSUPPORTED', 'read-only; name another directory with --data'],
  ['EACCES', 'E_PERMISSION', 'try sudo'],
  ['ENOSPC', 'E_NO_SPACE', 'no space left'],
  ['EIO', 'E_KERNEL', 'EIO'],
])('dataDirError() of %s names the directory and what to do', (errno, code, reason) => {
  const error = dataDirError('/data', Object.assign(new Error(`${errno}: open`), { code: errno }));
  expect(error).toMatchObject({ code, detail: { errno } });
  expect(describeError(error)).toMatch(/^use \/data as data directory: /);
  expect(describeError(error)).toContain(reason);
});

it('dataDirError() leaves what is no errno as it is', () => {
  const error = new TypeError('no');
  expect(dataDirError('/data', error)).toBe(error);
});

it.each([
  { name: 'without a place', fields: { code: 'ENOSPC' }, isTold: true },
  { name: 'below it', fields: { code: 'EDQUOT', path: '/data/store/x' }, isTold: true },
  { name: 'elsewhere', fields: { code: 'ENOSPC', path: '/database/x' }, isTold: false },
  { name: 'of another kind', fields: { code: 'EIO' }, isTold: false },
])('diskFullError() of an error $name', ({ fields, isTold }) => {
  const error = Object.assign(new Error('write'), fields);
  const told = diskFullError('/data', error);
  if (isTold) expect(describeError(told)).toMatch(/^use \/data as data directory: no space left; free some/);
  else expect(told).toBe(error);
});

it('ensureDataDir() makes what is missing and is safe to repeat; a file in the way is told', () => {
  const parent = mkdtempSync(join(tmpdir(), 'data-dir-'));
  try {
    const directory = join(parent, 'a', 'b');
    ensureDataDir(directory, 0o700);
    ensureDataDir(directory, 0o700);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    writeFileSync(join(parent, 'file'), '');
    for (const path of ['file', 'file/below', 'file/below/it']) {
      expect(() => ensureDataDir(join(parent, path), 0o700), path).toThrow('no directory');
    }
  } finally {
    rmSync(parent, { recursive: true });
  }
});
