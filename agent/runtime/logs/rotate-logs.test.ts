import { closeSync, openSync, writeSync } from 'node:fs';
import type * as fs from 'node:fs/promises';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { repairLog, rotatedLogs, rotateLog } from './rotate-logs.ts';

/** Counts the calls that change something; from the one on that is cut off, none of them has an effect. */
const kill = vi.hoisted(() => ({ calls: 0, at: Number.POSITIVE_INFINITY }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>();
  const changing = (name: 'rename' | 'link' | 'rm') => async (first: string, second: string) => {
    if (kill.calls++ >= kill.at) throw new Error('killed');
    return name === 'rm' ? real.rm(first, { recursive: true, force: true }) : real[name](first, second);
  };
  return { ...real, rename: changing('rename'), link: changing('link'), rm: changing('rm') };
});

const rotation = { sizeBytesMax: 10, filesMax: 3 };
const scratch = scratchDirectory('podwright-logs-');
let directory = '';
let path = '';

beforeEach(async () => {
  directory = await mkdtemp(`${scratch}/`);
  path = `${directory}/0.log`;
});
afterEach(async () => {
  kill.at = Number.POSITIVE_INFINITY;
  await rm(directory, { recursive: true });
});

/** What a supervisor does with its log. */
class Writer implements Disposable {
  #fd = openSync(path, 'a');
  #count = 0;

  write(): void {
    writeSync(this.#fd, `line ${this.#count++}\n`);
  }

  readonly reopen = async (): Promise<void> => {
    const fd = openSync(path, 'a');
    closeSync(this.#fd);
    this.#fd = fd;
  };

  get written(): string {
    return Array.from({ length: this.#count }, (_, n) => `line ${n}\n`).join('');
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

async function everything(): Promise<string> {
  const files = [...(await rotatedLogs(path)), path];
  return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('');
}

describe('rotateLog()', () => {
  const reopen = async (): Promise<void> => writeFile(path, '');

  it('leaves a small log alone, and keeps so many files of a large one', async () => {
    await writeFile(path, 'small');
    expect(await rotateLog({ path, reopen }, { rotation, nowMs: 0 })).toBe(false);
    for (let second = 0; second < 5; second++) {
      await writeFile(path, `large enough ${second}`);
      expect(await rotateLog({ path, reopen }, { rotation, nowMs: second * 1000 })).toBe(true);
    }
    expect(await rotatedLogs(path)).toEqual([`${path}.19700101-000003`, `${path}.19700101-000004`]);
  });

  it.each([0, -5_000])('names a file after the newest one when the clock says %d ms later', async (later) => {
    for (const text of ['first, large enough', 'second, large enough']) {
      await writeFile(path, text);
      const nowMs = text.startsWith('first') ? 10_000 : 10_000 + later;
      expect(await rotateLog({ path, reopen }, { rotation, nowMs })).toBe(true);
    }
    expect(await rotatedLogs(path)).toEqual([`${path}.19700101-000010`, `${path}.19700101-000011`]);
    expect(await everything()).toBe('first, large enoughsecond, large enough');
  });

  it('puts the log back when the writer cannot be told', async () => {
    await writeFile(path, 'large enough');
    const refuse = async (): Promise<void> => {
      throw new Error('gone');
    };
    await expect(rotateLog({ path, reopen: refuse }, { rotation, nowMs: 0 })).rejects.toThrow('gone');
    expect(await rotatedLogs(path)).toEqual([]);
    await open(path, 'r').then((file) => file.close());
  });

  it('leaves the new file alone of a writer that opened it and could not say so', async () => {
    using writer = new Writer();
    writer.write();
    writer.write();
    const reopenUnheard = async (): Promise<void> => {
      await writer.reopen();
      writer.write();
      throw new Error('no answer');
    };
    await expect(rotateLog({ path, reopen: reopenUnheard }, { rotation, nowMs: 0 })).rejects.toThrow('no');
    writer.write();
    expect(await everything()).toBe(writer.written);
  });

  it('has a log that somebody removed made anew', async () => {
    using writer = new Writer();
    await rm(path);
    await rotateLog({ path, reopen: writer.reopen }, { rotation, nowMs: 0 });
    writer.write();
    expect(await everything()).toBe(writer.written);
  });
});

describe('a rotation that is cut off', () => {
  const refuse = async (): Promise<void> => {
    throw new Error('disk full');
  };
  const cuts = [true, false].flatMap((isTold) =>
    [0, 1, 2, 3].flatMap((at) =>
      [true, false].map((isWriterAlive) => ({ at, isTold, writer: isWriterAlive ? 'lives' : 'died too' })),
    ),
  );

  it.each(cuts)(
    'at change $at, the writer told: $isTold, who $writer: repaired, no line lost or doubled',
    async ({ at, isTold, writer: fate }) => {
      using writer = new Writer();
      for (const nowMs of [0, 1000]) {
        writer.write();
        writer.write();
        await rotateLog({ path, reopen: writer.reopen }, { rotation: { ...rotation, filesMax: 9 }, nowMs });
      }
      writer.write();
      writer.write();
      kill.at = (kill.calls = 0) + at;
      const reopen = isTold
        ? async (): Promise<void> => (kill.calls > kill.at ? refuse() : writer.reopen())
        : refuse;
      await rotateLog({ path, reopen }, { rotation: { ...rotation, filesMax: 9 }, nowMs: 2000 }).catch(
        () => undefined,
      );
      if (fate === 'lives') writer.write();
      kill.at = Number.POSITIVE_INFINITY;
      const log = { path, reopen: fate === 'lives' ? writer.reopen : undefined };
      await repairLog(log, { ...rotation, filesMax: 9 });
      if (fate === 'lives') writer.write();
      expect(await everything()).toBe(writer.written);
      await repairLog(log, { ...rotation, filesMax: 9 });
      expect(await everything()).toBe(writer.written);
      if (fate === 'lives') {
        writer.write();
        expect(await rotateLog(log, { rotation, nowMs: 3000 })).toBe(true);
      }
    },
  );

  it('between two removals: the rest goes, too', async () => {
    for (const second of [1, 2, 3, 4]) await writeFile(`${path}.19700101-00000${second}`, '');
    await writeFile(path, '');
    kill.at = (kill.calls = 0) + 1;
    await expect(repairLog({ path, reopen: undefined }, rotation)).rejects.toThrow('killed');
    kill.at = Number.POSITIVE_INFINITY;
    await repairLog({ path, reopen: undefined }, rotation);
    expect(await rotatedLogs(path)).toEqual([`${path}.19700101-000003`, `${path}.19700101-000004`]);
  });
});
