import { describe, expect, test } from 'vitest';
import {
  commandLines,
  globalLine,
  parseDurationMs,
  parseLine,
  refuseDescriptors,
  valueOf,
} from './options.ts';
import { parseSignal } from './commands/signal.ts';

describe('parseLine()', () => {
  test('takes what containerd and conmon pass', () => {
    const args = ['--root', '/run/r', '--log=/l', '--log-format', 'json', 'create', '--bundle', '/b', 'one'];
    const line = parseLine(globalLine, args);
    expect([valueOf(line, 'root'), valueOf(line, 'log'), valueOf(line, 'log-format')]).toEqual([
      '/run/r',
      '/l',
      'json',
    ]);
    expect(line.operands).toEqual(['create', '--bundle', '/b', 'one']);
  });

  test('leaves the options of a command that is executed alone', () => {
    expect(parseLine(commandLines.exec, ['-t', '-e', 'A=1', '--env', 'B=2', 'one', 'ls', '-l'])).toEqual({
      flags: new Set(['tty']),
      values: new Map([['env', ['A=1', 'B=2']]]),
      operands: ['one', 'ls', '-l'],
    });
  });

  test.each([
    [['--moon', 'x'], '--moon: no such option'],
    [['--bundle'], '--bundle: it needs a value'],
    [['--bundle', '', 'x'], '--bundle: the path is empty'],
    [['--bundle=', 'x'], '--bundle: the path is empty'],
    [['--no-pivot', 'x'], '--no-pivot: a root without pivot_root'],
    [[], 'usage: create'],
    [['a', 'b'], 'usage: create'],
  ])('refuses create %j', (args, message) =>
    expect(() => parseLine(commandLines.create, args)).toThrow(message),
  );

  test('refuses an empty directory of its own', () => {
    expect(() => parseLine(globalLine, ['--root', '', 'list'])).toThrow(
      '--root: the path is empty; name a directory',
    );
    expect(parseLine(globalLine, ['--log', '', 'list']).operands).toEqual(['list']);
  });

  test('refuses systemd’s cgroups and descriptors by name', () => {
    expect(() => parseLine(globalLine, ['--systemd-cgroup', 'list'])).toThrow(
      '--systemd-cgroup: systemd is not asked',
    );
    expect(parseLine(globalLine, ['--systemd-cgroup=false', 'list']).operands).toEqual(['list']);
    const line = parseLine(commandLines.create, ['--preserve-fds', '2', 'x']);
    expect(() => refuseDescriptors(line)).toThrow('--preserve-fds 2');
  });
});

test.each([
  ['KILL', 9],
  ['sigterm', 15],
  ['9', 9],
  ['SIGRTMIN+3', 37],
])('parseSignal(%s)', (text, want) => expect(parseSignal(text)).toBe(want));

test('parseSignal() and parseDurationMs() refuse what is none', () => {
  expect(() => parseSignal('MOON')).toThrow('unknown signal "MOON"');
  expect(() => parseSignal('0')).toThrow('unknown signal');
  expect(parseDurationMs('1.5s')).toBe(1500);
  expect(() => parseDurationMs('soon')).toThrow('no duration');
});
