import { expect, it } from 'vitest';
import { createProgram } from '#bin/main.ts';
import { pathOptions } from './path-options.ts';

it.each(['server', 'agent'])('all options of %s that are files or directories are known as such', (role) => {
  const command = createProgram().commands.find((known) => known.name() === role);
  const paths = (command?.options ?? []).filter(({ flags }) => /<(?:file|dir|path)>/.test(flags));
  const names = paths.map((option) => option.attributeName());
  expect(names).toContain('data');
  expect(names.filter((name) => !pathOptions.has(name))).toEqual([]);
});
