import { Command } from 'commander';
import { expect, it } from 'vitest';
import { unknownCommand } from './unknown-command.ts';

function program(): Command {
  const made = new Command('podwright');
  made.command('up').option('--nodes <n>');
  made.command('image').command('rm').argument('<reference...>');
  return made;
}

it.each([
  ['bogus --help', 'bogus'],
  ['image bogus --help', 'bogus'],
  ['image bogus -h', 'bogus'],
  ['help bogus', 'bogus'],
  ['help image bogus', 'bogus'],
  ['bogus', undefined],
  ['up --help', undefined],
  ['up --nodes bogus', undefined],
  ['image rm bogus --help', undefined],
  ['image --help', undefined],
  ['--help', undefined],
  ['help up', undefined],
  ['', undefined],
])('unknownCommand() of %j is %j', (line, want) => {
  expect(
    unknownCommand(
      program(),
      line.split(' ').filter((word) => word !== ''),
    ),
  ).toBe(want);
});
