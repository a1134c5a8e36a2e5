import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { reapProcess, spawnProcess } from './spawn.ts';

async function run(path: string, ...args: string[]): Promise<unknown> {
  const child = spawnProcess(path, args);
  const stderr = await text(new Socket({ fd: child.stderr.takeFd(), writable: false }));
  return { stderr, end: reapProcess(child.pid) };
}

describe('spawnProcess()', () => {
  test('gives what the program says on stderr, and its exit code', async () => {
    const result = await run('/bin/sh', '-c', 'echo "$0 $#" >&2; exit 3', 'zero', 'one two');
    expect(result).toEqual({ stderr: 'zero 1\n', end: { kind: 'exited', code: 3 } });
  });

  test('the program ends by a signal', async () => {
    const result = await run('/bin/sh', '-c', 'kill -9 $$');
    expect(result).toEqual({ stderr: '', end: { kind: 'killed', signal: 9 } });
  });

  test('no signal is ignored or blocked in it', async () => {
    const result = await run('/bin/sh', '-c', 'grep -E "^Sig(Ign|Blk)" /proc/self/status >&2');
    expect(result).toMatchObject({ stderr: 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n' });
  });

  test('a program that is not there is an error of the caller', () => {
    expect(() => spawnProcess('/nowhere/at-all', [])).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', message: 'start /nowhere/at-all: ENOENT' }),
    );
  });
});
