import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureSupervisor, type BuildOptions } from './build.ts';
import { findStale } from './prebuild.ts';

interface Scratch extends Disposable, Required<BuildOptions> {}

/** Directories of its own, with a copy of the sources, and a compiler that is not there. */
function createScratch(): Scratch {
  const root = mkdtempSync('/tmp/podwright-build-');
  const [sourceDirectory, prebuiltDirectory] = [join(root, 'supervisor'), join(root, 'prebuilt')];
  cpSync(join(import.meta.dirname, 'supervisor'), sourceDirectory, { recursive: true });
  cpSync(join(import.meta.dirname, 'prebuilt'), prebuiltDirectory, { recursive: true });
  return {
    sourceDirectory,
    prebuiltDirectory,
    buildDirectory: join(root, 'build'),
    compiler: join(root, 'gcc'),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}

/** Another source: no binary came with it. */
function change(scratch: Scratch): void {
  writeFileSync(join(scratch.sourceDirectory, 'changed.h'), '#pragma once\n');
}

const hasGcc = ((): boolean => {
  try {
    execFileSync('gcc', ['-E', '-'], {
      input: '#include <asm/ioctls.h>\n',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    return true;
  } catch {
    return false;
  }
})();

describe('ensureSupervisor()', () => {
  it('takes the binary that came with the source, and needs no compiler', async () => {
    using scratch = createScratch();

    const path = await ensureSupervisor(scratch);
    expect(path.startsWith(scratch.prebuiltDirectory)).toBe(true);
    expect(() => statSync(scratch.buildDirectory)).toThrow('ENOENT');
  });

  it('takes it although its mode was lost on the way', async () => {
    using scratch = createScratch();

    for (const name of readdirSync(scratch.prebuiltDirectory))
      chmodSync(join(scratch.prebuiltDirectory, name), 0o644);
    const path = await ensureSupervisor(scratch);
    expect(path.startsWith(scratch.buildDirectory)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(await ensureSupervisor(scratch)).toBe(path);
  });

  it('says what is wrong and what to do where a changed source cannot be compiled', async () => {
    using scratch = createScratch();

    change(scratch);
    await expect(ensureSupervisor(scratch)).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringMatching(
        /not those of .*prebuilt.*gcc is not installed.*apt-get install gcc linux-libc-dev/,
      ),
    });
    writeFileSync(
      scratch.compiler,
      '#!/bin/sh\necho "x.h:3:10: fatal error: asm/ioctls.h: No such file" >&2\nexit 1\n',
    );
    chmodSync(scratch.compiler, 0o755);
    await expect(ensureSupervisor(scratch)).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringMatching(/does not find asm\/ioctls.h.*linux-libc-dev/),
    });
  });

  it.skipIf(!hasGcc)('compiles a changed source once (needs gcc), and leaves nothing beside it', async () => {
    using scratch = createScratch();

    change(scratch);
    const first = await ensureSupervisor({ ...scratch, compiler: 'gcc' });
    expect(await ensureSupervisor(scratch)).toBe(first);
    expect(readdirSync(scratch.buildDirectory)).toEqual([basename(first)]);
  });
});

describe('findStale()', () => {
  it('finds nothing in the repository', async () => {
    expect(await findStale()).toEqual([]);
  });

  it('names what is missing, what is of other sources, and the command', async () => {
    using scratch = createScratch();

    const [old] = readdirSync(scratch.prebuiltDirectory).filter((name) =>
      name.startsWith('supervisor-arm64'),
    );
    const prebuilt = join(scratch.prebuiltDirectory, old ?? '');
    copyFileSync(prebuilt, join(scratch.prebuiltDirectory, 'supervisor-arm64-0000000000000000'));
    rmSync(prebuilt);
    expect(await findStale(scratch.prebuiltDirectory)).toEqual([
      expect.stringContaining(`${old} is missing; npm run supervisor`),
      expect.stringMatching(/supervisor-arm64-0{16} is of other sources; npm run supervisor/),
    ]);
  });
});
