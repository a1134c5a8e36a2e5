import { describe, expect, it } from 'vitest';
import { isServerOption, serverOptionProblem } from './server-option.ts';

const known = new Map([
  ['enable-admission-plugins', true],
  ['anonymous-auth', true],
  ['quick', false],
  ['listen', true],
]);

describe('serverOptionProblem()', () => {
  it.each<readonly [string, string | undefined]>([
    ['enable-admission-plugins=A,B', undefined],
    ['anonymous-auth=', undefined],
    ['quick', undefined],
    ['enable-admission-plugins', 'write enable-admission-plugins=VALUE'],
    ['quick=1', 'write quick'],
    ['listen=0.0.0.0:1', '--listen is said by up itself'],
    ['data=/x', '--data is said by up itself'],
    ['--quick', 'podwright server has no option ----quick; write NAME=VALUE'],
    ['slow=1', 'podwright server has no option --slow; write NAME=VALUE'],
    ['', 'podwright server has no option --; write NAME=VALUE'],
  ])('of %j', (text, want) => {
    expect(serverOptionProblem(text, known)).toBe(want);
    if (want === undefined) expect(isServerOption(text)).toBe(true);
  });
});
