import { expect, test } from 'vitest';
import { renderExecFailure } from './exec-failure.ts';

test.each([
  { args: ['xyz', '-l'], errno: 'ENOENT', want: 'exec: "xyz": executable file not found in $PATH' },
  { args: ['/x/y'], errno: 'ENOENT', want: 'exec: "/x/y": no such file or directory' },
  { args: ['./y'], errno: 'ENOENT', want: 'exec: "./y": no such file or directory' },
  { args: ['data'], errno: 'EACCES', want: 'exec: "data": permission denied' },
  { args: ['/etc'], errno: 'EACCES', want: 'exec: "/etc": permission denied' },
  { args: ['/arm'], errno: 'ENOEXEC', want: 'exec: "/arm": exec format error' },
  { args: ['/new'], errno: 'errno 999', want: 'exec: "/new": errno 999' },
])('renderExecFailure() of $args: $errno', ({ args, errno, want }) => {
  expect(renderExecFailure(args, errno)).toBe(want);
});
