import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { runFakeCommand, startFakeSession } from './fake-session.ts';

const place = { hostname: 'web-0', env: [{ name: 'A', value: 'b c' }], uid: 0 };

describe('runFakeCommand()', () => {
  it.each([
    [['echo', 'hi', 'there'], 'hi there\n', '', 0],
    [['sh', '-c', 'echo $A "${A}" \'$A\'; hostname'], 'b c b c $A\nweb-0\n', '', 0],
    [['sh', '-c', 'false && echo no; false || echo yes'], 'yes\n', '', 0],
    [['sh', '-c', 'echo a; exit 3; echo b'], 'a\n', '', 3],
    [['/bin/printenv', 'A'], 'b c\n', '', 0],
    [['printenv', 'B'], '', '', 1],
    [['cat', '/etc/hostname'], 'web-0\n', '', 0],
    [['cat', '/x'], '', "cat: can't open '/x': No such file or directory\n", 1],
    [['constructor'], '', 'sh: constructor: not found\n', 127],
    [['sh', '-c', 'curl x'], '', 'sh: curl: not found\n', 127],
    [[], '', 'sh: : not found\n', 127],
  ])('%j', (args, stdout, stderr, exitCode) => {
    expect(runFakeCommand(args, place)).toMatchObject({ stdout, stderr, exitCode });
  });
});

describe('startFakeSession()', () => {
  const clock = createFakeClock();

  it('answers what is typed, and ends with what is asked', async () => {
    const session = startFakeSession({ args: ['sh'], stdin: true, tty: false }, place, clock);
    session.streams.stdin?.end('whoami\nec');
    const shown = text(session.streams.stdout);
    expect([await shown, await session.exitCode]).toEqual(['root\n', 0]);
  });

  it('has a prompt and an echo on a terminal', async () => {
    const session = startFakeSession({ args: ['sh'], stdin: true, tty: true }, place, clock);
    const shown = text(session.streams.stdout);
    session.streams.stdin?.write('pwd\rexit 4\r');
    expect([await session.exitCode, await shown]).toEqual([4, '/ # pwd\r\n/\r\n/ # exit 4\r\n']);
  });

  it('takes its time, and can be killed', async () => {
    const slow = startFakeSession({ args: ['sleep', '5'], stdin: false, tty: false }, place, clock);
    let code: number | undefined;
    void slow.exitCode.then((given) => (code = given));
    await new Promise(setImmediate);
    expect(code).toBeUndefined();
    clock.advance(5000);
    expect(await slow.exitCode).toBe(0);
    const endless = startFakeSession({ args: ['sleep', '500'], stdin: false, tty: false }, place, clock);
    await endless.kill();
    expect(await endless.exitCode).toBe(137);
  });
});
