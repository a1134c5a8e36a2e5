import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellWord } from './shell-word.ts';

test.each([
  '/var/lib/podwright',
  '',
  'da ta',
  'ü',
  "it's",
  '$HOME',
  '`id`',
  'a\nb',
  '"',
  String.raw`\\`,
  '*',
  '~',
])('the shell reads %j as one word', (text) => {
  expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
});

test('leaves a plain path as it is', () => {
  expect(shellWord('/var/lib/podwright-1.2_x')).toBe('/var/lib/podwright-1.2_x');
});
