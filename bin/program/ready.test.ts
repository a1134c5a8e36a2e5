import { expect, it } from 'vitest';

import { watchdogIntervalMs } from './ready.ts';

it.each([
  { name: 'no watchdog', environment: {}, want: undefined },
  { name: 'a minute', environment: { WATCHDOG_USEC: '60000000' }, want: 20_000 },
  { name: 'ours by pid', environment: { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '7' }, want: 1000 },
  {
    name: "another process's",
    environment: { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '8' },
    want: undefined,
  },
  { name: 'nonsense', environment: { WATCHDOG_USEC: 'soon' }, want: undefined },
  { name: 'too short to divide', environment: { WATCHDOG_USEC: '10' }, want: 1 },
])('watchdogIntervalMs() of $name', ({ environment, want }) => {
  expect(watchdogIntervalMs(environment, 7)).toBe(want);
});
