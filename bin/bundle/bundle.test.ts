import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rename, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import { removeTree } from '#native/fs/remove-tree.ts';
import { bundlesDirectory, fileOfBundle, indexName } from './bundle.ts';
import { quickToLoad } from './bundle-sources.ts';
import { writeBundle } from './write-bundle.ts';

const run = promisify(execFile);

/** A repository in which each thing is that a bundle must keep right. `says` is what its program says of a run. */
const sources: Readonly<Record<string, string>> = {
  'package.json': '{ "type": "module", "imports": { "#base/*": "./base/*", "#native/*": "./native/*" } }',
  'node_modules/.package-lock.json': '{}',
  'node_modules/a/package.json': '{ "name": "a", "main": "index.cjs" }',
  'node_modules/a/index.cjs': "const { join } = require('path'); exports.joined = join('a', 'b');",
  'base/text.ts': "export const text: string = 'größer →';",
  'base/place.ts': 'export const place = import.meta.dirname;',
  'native/netlink/worker-thread.ts':
    "import { parentPort } from 'node:worker_threads';\nimport { text } from '#base/text.ts';\nparentPort?.postMessage(`${text} by a thread`);",
  'base/data.json': '{ "value": 7 }',
  'bin/later.ts': "export const later = 'loaded later';",
  'bin/main.ts': `import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import http, { METHODS as methods } from 'node:http';
import { Worker } from 'node:worker_threads';
import { joined } from 'a';
import { place } from '#base/place.ts';
import { text } from '#base/text.ts';
import { start } from './start.ts';
export async function main(): Promise<void> {
  const { later } = await import('./later.ts');
  const worker = new Worker(start(), { execArgv: [] });
  const { promise, resolve } = Promise.withResolvers<string>();
  worker.once('message', resolve);
  const { value } = JSON.parse(readFileSync(new URL('../base/data.json', import.meta.url), 'utf8'));
  const isUndiciThere = process.moduleLoadList.some((name) => name.includes('undici'));
  console.log(JSON.stringify({ text, joined, later, place: join(place), value, methods: http.METHODS === methods, isUndiciThere, thread: await promise }));
}`,
  'bin/start.ts':
    "import { relay } from '#native/netlink/relay.ts';\nexport const start = (): URL => relay();",
  'native/netlink/relay.ts':
    "export const relay = (): URL => new URL('./worker-thread.ts', import.meta.url);",
};

const says = (root: string): object => ({
  ...{
    text: 'größer →',
    joined: 'a/b',
    later: 'loaded later',
    value: 7,
    methods: true,
    isUndiciThere: false,
  },
  ...{ place: join(root, 'base'), thread: 'größer → by a thread' },
});

async function createRepository(): Promise<
  AsyncDisposable & { readonly top: string; readonly root: string }
> {
  const top = await mkdtemp(join(tmpdir(), 'podwright-bundle-'));
  const root = join(top, 'here');
  for (const [path, text] of Object.entries(sources)) await change(root, path, text);
  return { top, root, [Symbol.asyncDispose]: async () => void (await removeTree(top)) };
}

/** As of a minute ago, or of `at`. */
async function change(root: string, path: string, text: string, at = Date.now() / 1000 - 60): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
  await utimes(join(root, path), at, at);
}

async function runBundle(root: string): Promise<unknown> {
  const file = fileOfBundle(root, 'main') ?? 'none';
  const program = `const { main } = await import(${JSON.stringify(pathToFileURL(file).href)}); await main();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  return JSON.parse(stdout) as unknown;
}

describe('writeBundle()', () => {
  it('makes a program that does as its sources, wherever the repository is moved', async () => {
    await using repository = await createRepository();
    const { top, root } = repository;

    await change(root, 'build/compile-cache/v26/of-another-bundle', '');
    await writeBundle(root);
    expect(await runBundle(root)).toEqual(says(root));
    expect(await readdir(join(root, 'build'))).toEqual(['bundle']);

    const there = join(top, 'there');
    await rename(root, there);
    expect(await runBundle(there)).toEqual(says(there));
    await cp(there, root, { recursive: true, preserveTimestamps: true });
    expect(fileOfBundle(root, 'main')).toBeDefined();
  });

  it.each([
    [
      'a source that has other text',
      async (root: string) => change(root, 'base/text.ts', sources['base/text.ts'] + ' '),
    ],
    [
      'one that was changed at another time',
      async (root: string) => change(root, 'base/text.ts', sources['base/text.ts'] ?? '', 7),
    ],
    [
      'one that is gone',
      async (root: string) => rename(join(root, 'bin/later.ts'), join(root, 'bin/gone.ts')),
    ],
    ['other packages', async (root: string) => change(root, 'node_modules/.package-lock.json', '{ }')],
    [
      'a directory that is gone',
      async (root: string) => rename(dirname(fileOfBundle(root, 'main') ?? ''), join(root, 'gone')),
    ],
    [
      'half an index',
      async (root: string) => change(root, join(bundlesDirectory, indexName), '{ "directory": "a'),
    ],
  ])('is of no use beside %s', async (_what, act) => {
    await using repository = await createRepository();
    const { root } = repository;
    await writeBundle(root);
    expect(fileOfBundle(root, 'main')).toBeDefined();

    await act(root);
    expect(fileOfBundle(root, 'main')).toBeUndefined();
  });

  it('refuses what changes meanwhile, and keeps the one before for who runs', async () => {
    await using repository = await createRepository();
    const { root } = repository;
    await writeBundle(root);
    const before = await readdir(join(root, bundlesDirectory));

    await change(root, 'bin/later.ts', "export const later = 'changed';", Date.now() / 1000 + 60);
    await expect(writeBundle(root)).rejects.toThrow(/bin\/later.ts was changed meanwhile/);
    expect(await readdir(join(root, bundlesDirectory))).toEqual(before);

    for (const name of ['first', 'second', 'third', 'fourth']) {
      await change(root, 'bin/later.ts', `export const later = '${name}';`);
      await writeBundle(root);
      expect(await runBundle(root)).toMatchObject({ later: name });
    }
    expect(await readdir(join(root, bundlesDirectory))).toHaveLength(4); // Three bundles, and the index.
  });
});

describe('quickToLoad()', () => {
  it.each([
    ['import path from "node:path";', 'const path = globalThis.process.getBuiltinModule("node:path");'],
    ['import * as fs from "node:fs";', 'const fs = globalThis.process.getBuiltinModule("node:fs");'],
    [
      'import { readFile as read, stat } from "node:fs/promises";',
      'const { readFile: read, stat } = globalThis.process.getBuiltinModule("node:fs/promises");',
    ],
    [
      'import path, { join } from "node:path";',
      'const path = globalThis.process.getBuiltinModule("node:path"); const { join } = globalThis.process.getBuiltinModule("node:path");',
    ],
    ['import koffi from "koffi";', 'import koffi from "koffi";'],
    ['import "./a.js";\nimport { b } from "./b.js";', 'import "./a.js";\nimport { b } from "./b.js";'],
    [String.raw`const a = "ä😀";`, String.raw`const a = "\u00e4\ud83d\ude00";`],
  ])('%s', (code, want) => {
    expect(quickToLoad(code)).toBe(want);
  });
});
