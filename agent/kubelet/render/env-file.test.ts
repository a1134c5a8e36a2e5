import { expect, test } from 'vitest';
import { parseEnvFile } from './env-file.ts';

test.each<[string, Readonly<Record<string, string>>]>([
  ['', {}],
  ["A='1'\n", { A: '1' }],
  ["A='1'", { A: '1' }],
  ["  # no\n\n A = 'x y'  \r\nB=''\n", { A: 'x y', B: '' }],
  ["A='one\ntwo # \"$X\" \\n'\nB='b'", { A: 'one\ntwo # "$X" \\n', B: 'b' }],
  ["A='1'\nA='2'", { A: '2' }],
])('parseEnvFile(%j)', (text, want) => {
  expect(Object.fromEntries(parseEnvFile(text))).toEqual(want);
});

test.each([
  ['A=1', 1],
  ['\nA="1"', 2],
  ["A='1''2'", 1],
  ["A='1'$B", 1],
  ["A='1\n\nB=2", 1],
  ["A='x\ny'\n1B='2'", 3],
])('parseEnvFile(%j) refuses line %i', (text, line) => {
  expect(() => parseEnvFile(text)).toThrow(`line ${line} is not NAME='value'`);
});
