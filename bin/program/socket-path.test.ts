import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkSocketPath, clearSocketPath } from './socket-path.ts';

it('takes the longest path that a socket can have, and refuses the next', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'socket-'));
  try {
    const longest = join(parent, 'x'.repeat(106 - parent.length));
    clearSocketPath(longest);
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(longest, resolve));
    server.close();
    expect(() => clearSocketPath(`${longest}y`)).toThrow(
      /108 bytes, .* at most 107; name a shorter directory/,
    );
    expect(() => checkSocketPath(`/${'ü'.repeat(54)}`)).toThrow(/109 bytes/);
  } finally {
    rmSync(parent, { recursive: true });
  }
});

it('leaves alone what is no socket', () => {
  const parent = mkdtempSync(join(tmpdir(), 'socket-'));
  try {
    writeFileSync(join(parent, 'file'), '');
    expect(() => clearSocketPath(join(parent, 'file'))).toThrow('something else is there');
  } finally {
    rmSync(parent, { recursive: true });
  }
});
