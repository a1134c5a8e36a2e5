import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';

const program = join(repositoryRoot, 'bin', 'podwright.ts');
const linesThenCode = `
  import { print } from ${JSON.stringify(join(repositoryRoot, 'bin', 'terminal', 'print.ts'))};
  process.stdin.once('end', () => {
    for (let line = 0; line < 3; line++) setTimeout(() => print('line'), line);
    setTimeout(() => process.stderr.write('went on'), 10);
  }).resume();
`;

it('print() to a reader that went away is no error, and the command goes on', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', linesThenCode], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const closed = once(child.stdout, 'close');
  child.stdout.destroy();
  await closed;
  child.stdin.end();
  const said = text(child.stderr);
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await said).toBe('went on');
});

it('output that cannot be written is one line and a failure, for what a command says and for its help', async () => {
  for (const args of [['version'], ['--help']]) {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    if (child.stderr === null) expect.unreachable();
    const said = text(child.stderr);
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(await said).toMatch(/^podwright: write standard output: ENOSPC[^\n]*\n$/);
  }
});
