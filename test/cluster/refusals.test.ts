/** Bad input: one clear line, nothing half-done. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openImageStore } from '#agent/runtime/images/image-store.ts';
import { createRegistryClient } from '#agent/runtime/images/registry/registry.ts';
import { systemClock } from '#base/clock.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { eventually, freePort, run, startCluster, type CommandResult, type TestCluster } from './cluster.ts';

const isRoot = process.getuid?.() === 0;
const podwright = (...args: readonly string[]): Promise<CommandResult> =>
  run([join(repositoryRoot, 'podwright'), ...args]);

function expectOneLine(result: CommandResult, pattern: RegExp): void {
  expect(result.code, result.stdout).toBe(1);
  expect(result.stderr.trim().split('\n'), result.stderr).toHaveLength(1);
  expect(result.stderr).toMatch(/^podwright: /);
  expect(result.stderr).toMatch(pattern);
}

type Entry = {
  readonly name: string;
  readonly type?: 'file' | 'symlink' | 'link';
  readonly linkname?: string;
};

async function tar(entries: readonly (Entry & { readonly body?: Buffer | string })[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, type = 'file', linkname, body = '' } of entries) {
    archive.entry(
      { name, type, ...(linkname === undefined ? {} : { linkname }) },
      type === 'file' ? body : '',
    );
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A docker-archive with one layer. */
async function imageWith(
  layerEntries: readonly Entry[],
  options: { readonly architecture?: string; readonly names?: readonly string[] } = {},
): Promise<Buffer> {
  const layer = await tar(layerEntries.map((entry) => ({ ...entry, body: 'x' })));
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const config = JSON.stringify({
    architecture: options.architecture ?? 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [diffId] },
  });
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
  return tar([
    { name: 'layer.tar', body: layer },
    { name: configName, body: config },
    {
      name: 'manifest.json',
      body: JSON.stringify([
        { Config: configName, RepoTags: options.names ?? ['bad:latest'], Layers: ['layer.tar'] },
      ]),
    },
  ]);
}

describe.skipIf(!isRoot)('refusals (needs root)', () => {
  let cluster: TestCluster;
  let scratch: string;
  const file = (name: string, content: Buffer): string => {
    writeFileSync(join(scratch, name), content);
    return join(scratch, name);
  };
  const importing = async (path: string): Promise<CommandResult> => {
    const result = await podwright('image', 'import', '--data', cluster.dataDir, path);
    const list = await podwright('image', 'ls', '--data', cluster.dataDir);
    expect(list.stdout).not.toContain('bad:latest');
    return result;
  };

  beforeAll(async () => {
    cluster = await startCluster();
    scratch = mkdtempSync(join(tmpdir(), 'podwright-refusals-'));
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  });

  it('refuses a truncated image', async () => {
    const path = file('truncated.tar', await imageWith([{ name: 'file' }]));
    truncateSync(path, Math.floor(statSync(path).size / 2 / 512) * 512 - 100);
    expectOneLine(await importing(path), /cut short/);
  });

  it('refuses a layer with ../', async () => {
    expectOneLine(
      await importing(file('dots.tar', await imageWith([{ name: '../escaped' }]))),
      /\.\.\/escaped/,
    );
  });

  it('keeps inside what a layer writes through its own absolute link', async () => {
    const target = join(scratch, 'outside');
    mkdirSync(target);
    const path = file(
      'link.tar',
      await imageWith([{ name: 'dir', type: 'symlink', linkname: target }, { name: 'dir/planted' }]),
    );
    const result = await podwright('image', 'import', '--data', cluster.dataDir, path);
    expect(result).toMatchObject({ code: 0 });
    expect(execFileSync('ls', [target]).toString()).toBe('');
    await podwright('image', 'rm', '--data', cluster.dataDir, 'bad:latest');
  });

  it('refuses an image of another architecture', async () => {
    expectOneLine(
      await importing(file('arm.tar', await imageWith([{ name: 'f' }], { architecture: 's390x' }))),
      /s390x/,
    );
  });

  it('refuses rubbish', async () => {
    expectOneLine(await importing(file('rubbish.tar', Buffer.from('not a tar at all'.repeat(100)))), /tar/);
  });

  it('refuses a port in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const dataDir = join(scratch, 'port');
    const result = await podwright('up', '--data', dataDir, '--port', String(port));
    taken.close();
    expectOneLine(result, /127\.0\.0\.1:\d+.*--port/);
    expect(() => statSync(dataDir)).toThrow('ENOENT');
  });

  it('refuses a second up on the same data directory', async () => {
    expectOneLine(await podwright('up', '--data', cluster.dataDir, '--port', '16443'), /podwright down/);
    const { code, stdout } = await podwright('status', '--data', cluster.dataDir); // Without kubectl, as a fresh machine.
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^node-1 +pid /m) });
  });

  it.each(['up', 'status', 'image ls'])('refuses to run %s without root', (command) => {
    const result = spawnSync(
      'setpriv',
      [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        process.execPath,
        join(repositoryRoot, 'bin', 'podwright.ts'),
        ...command.split(' '),
        '--data',
        cluster.dataDir,
      ],
      { encoding: 'utf8', cwd: '/' },
    );
    expectOneLine({ code: result.status ?? 255, stdout: result.stdout, stderr: result.stderr }, /sudo/);
  });

  it('refuses a file as data directory, and one that cannot be written to', async () => {
    const path = file('no-directory', Buffer.from(''));
    const port = String(await freePort());
    const refused = await podwright('up', '--data', path, '--port', port);
    expectOneLine({ ...refused, code: refused.code - 1 }, /no-directory as data directory.*--data/);
    const readOnly = join(scratch, 'read-only');
    mkdirSync(readOnly);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'podwright-test', readOnly]);
    try {
      const result = await podwright('up', '--data', join(readOnly, 'a'), '--port', port);
      expectOneLine(result, /read-only\/a as data directory: the file system is read-only.*--data/);
    } finally {
      execFileSync('umount', [readOnly]);
    }
  });

  it('lists an image by each of its names', async () => {
    const path = file('names.tar', await imageWith([{ name: 'f' }], { names: ['t/x:1', 'foo/bar:2'] }));
    expect(await podwright('image', 'import', '--data', cluster.dataDir, path)).toMatchObject({ code: 0 });
    const { stdout } = await podwright('image', 'ls', '--data', cluster.dataDir);
    for (const name of ['t/x:1', 'foo/bar:2']) expect(stdout).toContain(`docker.io/${name} `);
  });

  it('tells who wants the demo image where there is no space for it', async () => {
    const small = join(scratch, 'no-demo');
    mkdirSync(small);
    // The store's log alone has 8 MiB from the start.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'podwright-test', small]);
    try {
      await using without = await startCluster({ dataDir: join(small, 'data') });
      const isToldAtOnce = /^no image podwright\/demo:1 on node-1: .*no space left in .*$/m.test(
        without.said(),
      );
      if (isToldAtOnce) expect(without.said()).not.toContain('--image');
      await without.must('run wants --image=podwright/demo:1 --restart=Never -- true');
      const jsonpath = '{.status.containerStatuses[0].state.waiting.message}';
      await eventually('the pod is told', async () => {
        const told = await without.must(`get pod wants -o jsonpath=${jsonpath}`);
        return isToldAtOnce || /no space left/.test(told);
      });
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('says when there is no space left, and leaves nothing of the image', async () => {
    const blob = Buffer.alloc(8 * 1_048_576, 1);
    const layer = await tar([{ name: 'big', body: blob }]);
    const small = join(scratch, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'podwright-test', small]);
    try {
      const store = join(small, 'images');
      const images = await openImageStore({
        directory: store,
        registry: createRegistryClient({ clock: systemClock }),
      });
      const config = JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
      });
      const archive = await tar([
        { name: 'layer.tar', body: layer },
        { name: 'c.json', body: config },
        {
          name: 'manifest.json',
          body: JSON.stringify([{ Config: 'c.json', RepoTags: ['big:latest'], Layers: ['layer.tar'] }]),
        },
      ]);
      await expect(
        images.importArchive(Readable.from([archive]), { name: undefined }, new AbortController().signal),
      ).rejects.toMatchObject({ code: 'E_NO_SPACE' });
      expect(images.list()).toEqual([]);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).toContain(small);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
