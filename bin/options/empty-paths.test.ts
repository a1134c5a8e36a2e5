import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createProgram } from '#bin/main.ts';
import { emptyPaths } from './empty-paths.ts';

const all = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(all)];
const commands = all(createProgram());
const rows = commands.flatMap((command) =>
  command.options.map((option) => ({ command, option, flags: `${command.name()} ${option.flags}` })),
);
const isPath = (text: string): boolean => /[<[](file|dir|path|archive|socket)\W/.test(text);

// What is asked here is only what would be refused: no command is run with an empty path.
it('an empty path is refused for every option of every command that is one', () => {
  const paths = rows.filter(({ flags }) => isPath(flags));
  expect(paths.length).toBeGreaterThan(80);
  for (const { option, flags } of paths) {
    const name = option.attributeName();
    expect(emptyPaths([option], { [name]: '' }), flags).toEqual([option.long]);
    expect(emptyPaths([option], { [name]: ['/a', ''] }), flags).toEqual([option.long]);
    expect(emptyPaths([option], { [name]: '/a' }), flags).toEqual([]);
    expect(emptyPaths([option], {}), flags).toEqual([]);
  }
});

it('what is no path may be empty', () => {
  for (const { option, flags } of rows.filter((row) => !isPath(row.flags))) {
    expect(emptyPaths([option], { [option.attributeName()]: '' }), flags).toEqual([]);
  }
});

// Each would do no harm if it were let through.
it.each([
  [['status', '--data', ''], '--data'],
  [['status', '--data='], '--data'],
  [['image', 'export', 'x', '--data', '/no/such', '--to', ''], '--to'],
  [['image', 'import', '', '--data', '/no/such'], 'archive'],
  [['types', ''], 'file'],
])('podwright %j says what to do, before it does anything', async (words, name) => {
  await expect(createProgram().parseAsync(words, { from: 'user' })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: `${name}: the path is empty; name a file or directory`,
  });
});

it('an option of the server of up has no empty path either', async () => {
  const program = createProgram();
  const words = ['up', '--server-option', 'audit-log-path=', '--nodes', '0'];
  program.commands.find((command) => command.name() === 'up')?.configureOutput({ writeErr: () => {} });
  await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow(
    'audit-log-path: the path is empty',
  );
});
