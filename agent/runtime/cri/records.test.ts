import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { CriBook, type SandboxRecord } from './records.ts';

const directory = scratchDirectory('book-');

const record = (uid: string, hostname = ''): SandboxRecord => ({
  version: 1,
  uid,
  id: `id-${uid}`,
  phase: 'made',
  createdAtMs: 1,
  config: {
    metadata: null,
    hostname,
    log_directory: '',
    dns_config: null,
    port_mappings: [],
    labels: {},
    annotations: {},
    linux: null,
  },
});

it('CriBook reads what another wrote, says what is damaged and leaves it, and takes no record that is too long', async () => {
  const told: string[] = [];
  const book = new CriBook(directory, (uid) => told.push(uid));
  expect(await book.open()).toEqual([]);
  book.putSandbox(record('cri-a'));
  book.putSandbox(record('cri-b'));
  expect(() => book.putSandbox(record('cri-a', 'x'.repeat(5_000_000)))).toThrow('more than');
  expect(told).toEqual(['cri-a', 'cri-b']);
  writeFileSync(`${directory}/cri-b/sandbox.json`, '{"version":1');
  mkdirSync(`${directory}/cri-c`); // Cut off before its first document.
  mkdirSync(`${directory}/other`);
  const next = new CriBook(directory, () => undefined);
  expect(await next.open()).toEqual([expect.stringContaining('cri-b/sandbox.json')]);
  expect(next.sandboxes()).toEqual([record('cri-a')]);
  expect(readdirSync(directory).toSorted()).toEqual(['cri-a', 'cri-b', 'other']);
  await next.removeSandbox('cri-a');
  expect(next.sandboxes()).toEqual([]);
});
