import { describe, expect, it } from 'vitest';

import { describeError, errnoOf, PodwrightError } from './errors.ts';

describe('describeError()', () => {
  it.each([
    { name: 'a plain error', error: new Error('lost'), want: 'lost' },
    { name: 'not an error', error: 7, want: '7' },
    {
      name: 'a cause that adds something',
      error: new Error('read x', { cause: new Error('EIO') }),
      want: 'read x: EIO',
    },
    {
      name: 'a cause that was said already',
      error: new Error('read x: EIO', { cause: new Error('EIO') }),
      want: 'read x: EIO',
    },
    {
      name: 'a file that was named already',
      error: new Error('read a', { cause: new Error("ENOENT: no such file or directory, open 'a'") }),
      want: 'read a: ENOENT: no such file or directory',
    },
    {
      name: 'another file',
      error: new Error('read a', { cause: new Error("ENOENT: no such file or directory, open 'b'") }),
      want: "read a: ENOENT: no such file or directory, open 'b'",
    },
    {
      name: 'an errno that was said already',
      error: new Error('write a: EISDIR', {
        cause: new Error("EISDIR: illegal operation on a directory, rename 'a.partial' -> 'a'"),
      }),
      want: 'write a: EISDIR: illegal operation on a directory',
    },
  ])('$name', ({ error, want }) => expect(describeError(error)).toBe(want));
});

describe('errnoOf()', () => {
  it.each([
    {
      name: 'ours',
      error: new PodwrightError('E_KERNEL', 'x', { detail: { errno: 'EPERM' } }),
      want: 'EPERM',
    },
    { name: "Node's", error: Object.assign(new Error('x'), { code: 'ENOENT' }), want: 'ENOENT' },
    { name: 'neither', error: new Error('x'), want: undefined },
  ])('$name', ({ error, want }) => expect(errnoOf(error)).toBe(want));
});
