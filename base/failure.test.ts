import { describe, expect, it } from 'vitest';
import { PodwrightError } from './errors.ts';
import { errorOf, failureOf } from './failure.ts';

describe('failureOf()', () => {
  it('keeps the code, what the kernel said, and the causes in one line', () => {
    const cause = new Error('disk full');
    const error = new PodwrightError('E_KERNEL', 'mount at /a: ENOSPC', {
      detail: { errno: 'ENOSPC' },
      cause,
    });
    expect(failureOf(error)).toEqual({
      code: 'E_KERNEL',
      message: 'mount at /a: ENOSPC: disk full',
      detail: { errno: 'ENOSPC' },
    });
  });

  it('calls what is not ours internal', () => {
    expect(failureOf(new TypeError('x is no function'))).toEqual({
      code: 'E_INTERNAL',
      message: 'x is no function',
    });
    expect(failureOf('no error at all')).toEqual({ code: 'E_INTERNAL', message: 'no error at all' });
  });
});

describe('errorOf()', () => {
  it('is the error again on the other side, by way of JSON, too', () => {
    const error = new PodwrightError('E_BUSY', 'open the store: in use', { detail: { pid: 3 } });
    const again = errorOf(JSON.parse(JSON.stringify(failureOf(error))));
    expect(again).toMatchObject({ code: 'E_BUSY', message: 'open the store: in use', detail: { pid: 3 } });
  });
});
