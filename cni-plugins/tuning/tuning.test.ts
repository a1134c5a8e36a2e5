import { expect, test } from 'vitest';
import { refusedSysctl } from './tuning.ts';

test.each([
  { name: 'without a list all may be set', list: undefined, want: undefined },
  { name: 'an empty list allows none', list: '\n', want: 'net.core.somaxconn' },
  { name: 'each name needs a line', list: '^net\\.core\\.', want: 'net.ipv4.ip_forward' },
  { name: 'lines are expressions', list: '^net\\.core\\.\n\n^net\\.ipv4\\.ip_', want: undefined },
])('allowlist.conf: $name', ({ list, want }) => {
  expect(refusedSysctl(['net.core.somaxconn', 'net.ipv4.ip_forward'], list)).toBe(want);
});

test('allowlist.conf: a line that is no expression is said', () => {
  expect(() => refusedSysctl(['net.core.somaxconn'], '*')).toThrow(/allowlist.conf: \*/);
});
