import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { holdSupervisor } from './hold-supervisor.ts';

it('holdSupervisor() keeps the binary that an agent started with, and none of earlier ones', async () => {
  const root = mkdtempSync(join(tmpdir(), 'podwright-hold-'));
  const [checkout, data] = [join(root, 'checkout'), join(root, 'data')];
  for (const directory of [checkout, data]) mkdirSync(directory);
  const binary = join(checkout, 'supervisor-x64-0123456789abcdef');
  writeFileSync(binary, 'program');
  writeFileSync(join(data, 'supervisor-x64-fedcba9876543210'), 'older');
  writeFileSync(join(data, 'supervisor.txt'), 'not one');
  const held = await holdSupervisor(binary, data);
  rmSync(checkout, { recursive: true });
  expect(readFileSync(held, 'utf8')).toBe('program');
  expect(statSync(held).mode & 0o777).toBe(0o755);
  expect(readdirSync(data).toSorted()).toEqual(['supervisor-x64-0123456789abcdef', 'supervisor.txt']);
  rmSync(root, { recursive: true });
});
