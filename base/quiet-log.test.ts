import { describe, expect, it } from 'vitest';
import { createFakeClock } from './clock.ts';
import { quietLogger } from './quiet-log.ts';
import { createRecordedLog } from './recorded-log.fixture.ts';

function setUp() {
  const clock = createFakeClock();
  const { log, lines } = createRecordedLog();
  return { clock, lines, log: quietLogger(log, clock) };
}

describe('quietLogger()', () => {
  it('says once what fails again and again, then how often; numbers are no difference', () => {
    const { clock, lines, log } = setUp();
    for (let retryMs = 1; retryMs <= 40; retryMs++) log.warn({ error: 'refused', retryMs }, 'not renewed');
    expect(lines).toEqual([{ level: 'warn', message: 'not renewed', error: 'refused', retryMs: 1 }]);
    clock.advance(60_000);
    expect(lines.slice(1)).toEqual([
      { level: 'warn', message: 'not renewed', error: 'refused', retryMs: 40, repeated: 39 },
    ]);
    clock.advance(119_999);
    expect(lines).toHaveLength(2);
    clock.advance(1); // Nothing in two minutes: it is over.
    log.warn({ error: 'refused', retryMs: 1 }, 'not renewed');
    expect(lines).toHaveLength(3);
  });

  it('says each different one', () => {
    const { lines, log } = setUp();
    log.warn({ pod: 'a' }, 'x');
    log.warn({ pod: 'b' }, 'x');
    log.error({ pod: 'a' }, 'x');
    log.child({ node: 1, name: 'n' }).warn({ pod: 'a' }, 'x');
    log.child({ node: 1, name: 'm' }).warn({ pod: 'a' }, 'x');
    expect(lines).toHaveLength(5);
  });

  it('counts what a flood of different ones has beyond its limit', () => {
    const { clock, lines, log } = setUp();
    for (let at = 0; at < 10_000; at++) log.warn({ pod: `p-${at}` }, 'x');
    expect(lines).toHaveLength(200);
    clock.advance(1000);
    log.warn({ pod: 'last' }, 'x');
    expect(lines.slice(200)).toEqual([
      { level: 'warn', message: 'complaints left out, too many at once', lines: 9800 },
      { level: 'warn', message: 'x', pod: 'last' },
    ]);
  });

  it('lets info and debug pass', () => {
    const { lines, log } = setUp();
    for (let at = 0; at < 3; at++) log.info({}, 'x');
    for (let at = 0; at < 3; at++) log.debug({}, 'x');
    expect(lines).toHaveLength(6);
  });
});
