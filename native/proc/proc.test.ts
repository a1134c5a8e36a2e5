import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { countCpus, parseMeminfo, parseProcessStat } from './parse.ts';
import { proveProc } from './proc.conformance.ts';
import { createFakeProc } from './proc.fake.ts';
import { createProc } from './proc.linux.ts';

proveProc('createFakeProc()', async () => {
  const proc = createFakeProc();
  let pid = 100;
  return {
    proc,
    startProcess: async () => {
      proc.start(++pid);
      return pid;
    },
    [Symbol.asyncDispose]: async () => {},
  };
});

proveProc('createProc()', async () => {
  const children = new Set<ReturnType<typeof spawn>>();
  return {
    proc: createProc(),
    startProcess: async () => {
      const child = spawn('sleep', ['60']);
      children.add(child);
      await once(child, 'spawn');
      return child.pid ?? 0;
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of children) child.kill('SIGKILL');
    },
  };
});

describe('parseProcessStat()', () => {
  const rest = 'S 1 2 3 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 8899 1 2';
  it.each([
    { name: 'a plain name', command: 'sleep' },
    { name: 'a name with spaces', command: 'my program' },
    { name: 'a name with parentheses', command: 'a) R 9 (b' },
  ])('reads $name', ({ command }) => {
    expect(parseProcessStat(`42 (${command}) ${rest}`)).toEqual({
      pid: 42,
      command,
      state: 'S',
      parentPid: 1,
      startTicks: 8899n,
    });
  });

  it('refuses every truncation before the start time', () => {
    const text = `42 (sleep) ${rest}`;
    const end = text.indexOf(' 8899');
    for (let length = 0; length < end; length++) {
      expect(() => parseProcessStat(text.slice(0, length))).toThrow('parse process stat');
    }
  });
});

describe('parseMeminfo()', () => {
  it('reads kibibytes', () => {
    const text = 'MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\nSwapTotal: 0 kB\n';
    expect(parseMeminfo(text)).toEqual({
      totalBytes: 2_097_152,
      freeBytes: 1_024,
      availableBytes: 1_048_576,
      swapTotalBytes: 0,
    });
  });

  it('says what is missing', () => {
    expect(() => parseMeminfo('MemTotal: 1 kB\n')).toThrow('no MemAvailable');
  });
});

describe('countCpus()', () => {
  it.each([
    ['0\n', 1],
    ['0-3\n', 4],
    ['0-1,4,6-7\n', 5],
  ])('counts %j', (text, want) => expect(countCpus(text)).toBe(want));
});
