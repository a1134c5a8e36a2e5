import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { chmod, link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { currentTurn } from '#base/time-slice.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { enterOwnMounts } from './own-mounts.fixture.ts';
import { protectedPathProblem } from './protected-path.ts';
import { removeTree } from './remove-tree.ts';
import { proveTrees, type GivenTrees } from './tree.conformance.ts';
import { createFakeTrees } from './tree.fake.ts';
import { createTrees } from './tree.linux.ts';
import { walkTree } from './walk-tree.ts';

async function openFake(): Promise<GivenTrees> {
  const trees = createFakeTrees();
  trees.make('/tmp/t');
  const [prefix, before] = ['/tmp/t/', trees.openCount()];
  return {
    trees,
    directory: '/tmp/t',
    make: (path, type) => trees.make(`${prefix}${path}`, type, '/etc'),
    mount: (path) => trees.mount(`${prefix}${path}`),
    paths: () =>
      trees.paths().flatMap((path) => (path.startsWith(prefix) ? [path.slice(prefix.length)] : [])),
    [Symbol.asyncDispose]: async () => expect(trees.openCount()).toBe(before),
  };
}

proveTrees('createFakeTrees()', openFake);

const openFds = (): number => readdirSync('/proc/self/fd').length;

async function openKernel() {
  const directory = await mkdtemp(join(tmpdir(), 'podwright-tree-'));
  const at = (path: string): string => join(directory, path);
  const before = openFds();
  return {
    trees: createTrees(),
    directory,
    at,
    make: (path: string, type: 'directory' | 'file' | 'link') => {
      mkdirSync(type === 'directory' ? at(path) : dirname(at(path)), { recursive: true });
      if (type === 'file') writeFileSync(at(path), '');
      if (type === 'link') symlinkSync('/etc', at(path));
    },
    mount: (path: string) => createMounts().mount(at(path), { kind: 'tmpfs' }),
    paths: () =>
      readdirSync(directory, { recursive: true })
        .map((path) => String(path))
        .toSorted(),
    [Symbol.asyncDispose]: async () => {
      expect(openFds()).toBe(before);
      createMounts().unmountTree(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describe.skipIf(process.getuid?.() !== 0)('on the kernel (needs root)', () => {
  beforeAll(enterOwnMounts);
  proveTrees('createTrees()', openKernel);

  it('removeTree() takes paths longer than PATH_MAX', async () => {
    await using given = await openKernel();

    const name = 'd'.repeat(200);
    const script = `cd "$0"; mkdir t; cd t; i=0; while [ $i -lt 24 ]; do mkdir ${name} && cd ${name} || exit 1; i=$((i+1)); done; : > f`;
    execFileSync('bash', ['-c', script, given.directory]);
    expect(await removeTree(given.at('t'))).toBe(26);
  });

  it('removeTree() takes names of any bytes, closed directories and every kind of file', async () => {
    await using given = await openKernel();

    const root = given.at('t');
    await mkdir(join(root, 'closed/in'), { recursive: true });
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a, 0x80])]), '');
    await mkdir(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xfe, 0x22])]));
    await symlink('/etc', join(root, 'closed/in/link'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    execFileSync('mknod', [join(root, 'device'), 'c', '1', '3']);
    await chmod(join(root, 'closed/in'), 0);
    await chmod(join(root, 'closed'), 0);
    await removeTree(root);
    expect(await readdir(given.directory)).toEqual([]);
    expect(statSync('/etc').isDirectory()).toBe(true);
  });

  it('removeTree() takes immutable and append-only files and directories, and gives a link elsewhere its attribute back', async () => {
    await using given = await openKernel();

    const root = given.at('t');
    await mkdir(join(root, 'i/a'), { recursive: true });
    for (const path of ['i/f', 'i/a/f', 'linked']) await writeFile(join(root, path), 'x');
    await link(join(root, 'linked'), given.at('elsewhere'));
    try {
      execFileSync('chattr', ['+i', join(root, 'i/f'), join(root, 'linked')], { stdio: 'ignore' });
    } catch {
      return; // A file system without these attributes.
    }
    execFileSync('chattr', ['+a', join(root, 'i/a')]);
    execFileSync('chattr', ['+i', join(root, 'i'), root]);
    await removeTree(root);
    expect(await readdir(given.directory)).toEqual(['elsewhere']);
    expect(execFileSync('lsattr', [given.at('elsewhere')], { encoding: 'utf8' })).toMatch(/^----i/);
    execFileSync('chattr', ['-i', given.at('elsewhere')]);
  });

  it('removeTree() leaves what a bind mount shows, of directories and of files', async () => {
    await using given = await openKernel();

    for (const path of ['outside/d', 't/d/bind', 't/same']) await mkdir(given.at(path), { recursive: true });
    for (const path of ['outside/d/f', 'outside/f', 't/file']) await writeFile(given.at(path), 'kept');
    const mounts = createMounts();
    mounts.mount(given.at('t/d/bind'), { kind: 'bind', source: given.at('outside') });
    mounts.mount(given.at('t/same'), { kind: 'bind', source: given.at('outside/d') });
    mounts.mount(given.at('t/file'), { kind: 'bind', source: given.at('outside/f') });
    await removeTree(given.at('t'));
    expect(given.paths()).toEqual(['outside', 'outside/d', 'outside/d/f', 'outside/f']);
    expect(readFileSync(given.at('outside/f'), 'utf8')).toBe('kept');
  });

  it('removeTree() removes a large file off the event loop', async () => {
    await using given = await openKernel();

    await mkdir(given.at('t'));
    writeFileSync(given.at('t/large'), Buffer.alloc(6 * 1_048_576));
    writeFileSync(given.at('t/sparse'), '');
    truncateSync(given.at('t/sparse'), 2 ** 40);
    expect(await removeTree(given.at('t'))).toBe(3);
  });

  it('many walks at once share the turns of the event loop', async () => {
    await using given = await openFake();

    for (let walk = 0; walk < 20; walk++)
      for (let file = 0; file < 32; file++) given.make(`w${walk}/f${file}`, 'file');
    const seen = new Map<number, number>();
    const visit = (): void => {
      seen.set(currentTurn(), (seen.get(currentTurn()) ?? 0) + 1);
      const endMs = performance.now() + 0.3;
      while (performance.now() < endMs);
    };
    await Promise.all(
      Array.from({ length: 20 }, async (_, walk) => {
        using root = given.trees.open(join(given.directory, `w${walk}`));
        await walkTree(root, { visit });
      }),
    );
    expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBe(640);
    expect(Math.max(...seen.values())).toBeLessThanOrEqual(64); // Each alone would have sixteen and more.
  });

  it('walkTree() ends when a directory above it is moved away', async () => {
    await using given = await openKernel();

    const deep = `a/${'d/'.repeat(60)}`;
    await mkdir(given.at(deep), { recursive: true });
    await mkdir(given.at('b'));
    await writeFile(given.at(`${deep}f`), '');
    using root = given.trees.open(given.directory);

    // By now the directories from `a` on are closed; the one below it comes to lie elsewhere.
    const move = (): void => void execFileSync('mv', [given.at('a/d'), given.at('b/d')]);
    await expect(walkTree(root, { visit: move })).rejects.toMatchObject({ code: 'E_CONFLICT' });
  });

  it('removeTree() never follows a directory that is swapped for a link', async () => {
    await using given = await openKernel();

    await mkdir(given.at('victim'));
    await writeFile(given.at('victim/f'), 'kept');
    const script = `cd "$0"; while :; do mkdir -p t/x/y; rm -rf t/x; ln -s "$0/victim" t/x; rm -f t/x; done 2>/dev/null`;
    const swapper = spawn('sh', ['-c', script, given.directory], { stdio: 'ignore', detached: true });
    const ended = once(swapper, 'close');
    const endMs = performance.now() + 1500;
    while (performance.now() < endMs) await removeTree(given.at('t')).catch(() => undefined);
    process.kill(-Number(swapper.pid), 'SIGKILL'); // Its `rm` too, which would go on for a moment.
    await ended;
    expect(readFileSync(given.at('victim/f'), 'utf8')).toBe('kept');
  });
});

describe('protectedPathProblem()', () => {
  const rows = [
    ...[
      '/',
      '/etc',
      '/usr',
      '/usr/local/x',
      '/home',
      '/home/ada',
      '/root',
      '/proc/1',
      '/sys/fs/cgroup/x',
      '/tmp',
      '/run',
      '/var/lib',
    ],
    ...['relative', '/var/lib/../../etc', '/etc/', '//etc', '/srv/ada', '/srv'],
  ].map((path) => ({ path, isProtected: true }));
  const ours = [
    '/var/lib/podwright',
    '/run/podwright',
    '/tmp/x',
    '/home/ada/cluster',
    '/root/c',
    '/dev/shm/x',
  ];
  it.each([...rows, ...ours.map((path) => ({ path, isProtected: false }))])(
    'of $path: $isProtected',
    ({ path, isProtected }) => {
      expect(protectedPathProblem(path, ['/srv/ada/home']) !== undefined).toBe(isProtected);
    },
  );

  it('removeTree() asks it', async () => {
    const trees = { open: (path: string): never => expect.fail(`opened ${dirname(path)}`) };
    for (const { path } of rows.filter((row) => row.path !== '/srv/ada')) {
      await expect(removeTree(path, { trees })).rejects.toMatchObject({ code: 'E_INVALID' });
    }
  });
});
