import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

import { describeError } from '#base/errors.ts';
import { enterOwnMounts } from '#native/fs/own-mounts.fixture.ts';
import { checkClaim, claimDirectory } from './claim-directory.ts';
import { parseMarker } from './marker.ts';
import { cgroupPathProblem } from './own-cgroup.ts';
import { describeKept, proveOwned, removeOwned } from './remove-owned.ts';
import { foreignEntries, isEntryOf, markerName, type OwnedRole } from './role.ts';

function openScratch() {
  const scratch = mkdtempSync(join(tmpdir(), 'podwright-owned-'));
  const at = (path: string): string => join(scratch, path);
  return {
    at,
    make: (...paths: readonly string[]): void => {
      for (const path of paths) {
        mkdirSync(at(path.endsWith('/') ? path : join(path, '..')), { recursive: true });
        if (!path.endsWith('/')) writeFileSync(at(path), 'x');
      }
    },
    [Symbol.dispose]: () => rmSync(scratch, { recursive: true, force: true }),
  };
}

const claim = (path: string, role: OwnedRole = 'up') =>
  claimDirectory(path, { role, mode: 0o700, option: '--data' });

async function remove(path: string, role: OwnedRole = 'up') {
  const owned = proveOwned(path, role);
  return owned === undefined ? undefined : removeOwned(owned);
}

const thrown = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return describeError(error);
  }
  return 'nothing';
};

describe('claimDirectory()', () => {
  it('makes a directory, or takes an empty one, marks it once, and holds it', () => {
    using scratch = openScratch();

    scratch.make('empty/');
    {
      using made = claim(scratch.at('a/b'));
      using empty = claim(scratch.at('empty'));

      expect([made.isNew, made.marker.made, empty.isNew, empty.marker.made]).toEqual([
        true,
        true,
        false,
        false,
      ]);
      expect(thrown(() => claim(scratch.at('a/b')))).toMatch(/podwright up uses it already; name another/);
    }
    const before = readFileSync(join(scratch.at('a/b'), markerName('up')), 'utf8');
    claim(scratch.at('a/b'))[Symbol.dispose]();
    expect(readFileSync(join(scratch.at('a/b'), markerName('up')), 'utf8')).toBe(before);
  });

  it('refuses what holds files of others, and touches nothing in it', () => {
    using scratch = openScratch();

    scratch.make('photos/images/a.jpg', 'photos/kubeconfig', 'fresh/lost+found/');
    const what = thrown(() => claim(scratch.at('photos'), 'agent'));
    expect(what).toMatch(
      /photos as --data: it holds files that are not podwright's \(images, kubeconfig\); name another/,
    );
    expect(readdirSync(scratch.at('photos'))).toEqual(['images', 'kubeconfig']);
    expect(thrown(() => checkClaim(scratch.at('photos'), { role: 'agent', option: '--data' }))).toBe(what);
    claim(scratch.at('fresh'))[Symbol.dispose]();
  });

  it('takes what an agent or server from before there were markers left', () => {
    using scratch = openScratch();

    scratch.make(
      'server/pki/ca.key',
      'server/store/store.db',
      'up/server/pki/ca.key',
      'up/server/store/store.db',
      'up/mine',
    );
    scratch.make(
      'agent/images/images.json',
      'agent/images/blobs/sha256/',
      'agent/layers/',
      'run/pods/',
      'run/netns/',
    );
    for (const role of ['server', 'agent', 'up', 'run'] as const)
      claim(scratch.at(role), role)[Symbol.dispose]();
  });

  it('takes a server whose store is lost, and no directory that has one of that name', () => {
    using scratch = openScratch();

    scratch.make('server/pki/ca.key', 'server/store.mark', 'shop/store/goods', 'shop/pki/mine');
    claim(scratch.at('server'), 'server')[Symbol.dispose]();
    expect(thrown(() => claim(scratch.at('shop'), 'server'))).toContain('(pki, store)');
  });

  it('takes the authority of other servers that was copied there, and no pki of anybody else', () => {
    using scratch = openScratch();

    const authority = ['ca.crt', 'ca.key', 'sa.key'].map((name) => `pki/${name}`);
    const below = (directory: string, names: readonly string[]) =>
      names.map((name) => `${directory}/${name}`);
    scratch.make(
      ...below('copied', authority),
      ...below('whole', [...authority, 'pki/apiserver.crt', 'pki/front-proxy-ca.key']),
    );
    scratch.make(
      ...below('kubeadm', [...authority, 'pki/sa.pub']),
      ...below('beside', [...authority, 'admin.conf']),
    );
    scratch.make('part/pki/ca.crt');
    for (const name of ['copied', 'whole']) claim(scratch.at(name), 'server')[Symbol.dispose]();
    for (const name of ['kubeadm', 'part']) {
      expect(thrown(() => claim(scratch.at(name), 'server'))).toContain('(pki)');
    }
    expect(thrown(() => claim(scratch.at('beside'), 'server'))).toContain('(admin.conf)');
  });

  it('lets a server and an agent share one, and log files be there first', () => {
    using scratch = openScratch();

    scratch.make('d/agent.log', 'd/agent.log.1');
    claim(scratch.at('d'), 'agent')[Symbol.dispose]();
    scratch.make('d/images/images.json');
    claim(scratch.at('d'), 'server')[Symbol.dispose]();
  });

  it.each(['/', '/etc', '/home', '/root', '/var/lib', '/usr/share/x', '/proc/self'])('refuses %s', (path) => {
    expect(thrown(() => claim(path))).toMatch(/^use .* as --data: it (is|lies)/);
    expect(thrown(() => checkClaim(path, { role: 'up', option: '--data' }))).toMatch(/^use .* as --data/);
  });

  it.skipIf(process.getuid?.() !== 0)("refuses what is not root's, and what others may write to", () => {
    using scratch = openScratch();

    scratch.make('other/', 'open/', 'group/');
    chownSync(scratch.at('other'), 1000, 1000);
    chmodSync(scratch.at('open'), 0o777);
    chownSync(scratch.at('group'), 0, 1000);
    chmodSync(scratch.at('group'), 0o775);
    expect(thrown(() => claim(scratch.at('other')))).toContain('belongs to uid 1000, not to root');
    expect(thrown(() => claim(scratch.at('open')))).toContain('everybody may write to it; chmod go-w');
    expect(thrown(() => claim(scratch.at('group')))).toContain('group 1000 may write to it');
  });

  it('says so when a marker is damaged or a link', () => {
    using scratch = openScratch();

    claim(scratch.at('d'))[Symbol.dispose]();
    truncateSync(join(scratch.at('d'), markerName('up')), 5);
    expect(thrown(() => claim(scratch.at('d')))).toMatch(/\.podwright-up: it is damaged/);
    scratch.make('e/', 'f');
    symlinkSync(scratch.at('f'), join(scratch.at('e'), markerName('up')));
    expect(thrown(() => claim(scratch.at('e')))).toContain('ELOOP');
  });
});

describe('removeOwned()', () => {
  it('removes what it made, and the directory', async () => {
    using scratch = openScratch();

    claim(scratch.at('d'))[Symbol.dispose]();
    scratch.make(
      'd/server/store/store.db',
      'd/node-1/containers/x/upper/',
      'd/node-12/',
      'd/kubeconfig',
      'd/up.json',
    );
    scratch.make('d/up.log', 'd/up.log.1', 'd/options.json.new');
    expect(await remove(scratch.at('d'))).toEqual({ kept: [], isGone: true });
    expect(existsSync(scratch.at('d'))).toBe(false);
    expect(await remove(scratch.at('d'))).toBeUndefined();
  });

  it('leaves what is not its own, and a directory that it did not make', async () => {
    using scratch = openScratch();

    scratch.make('d/');
    claim(scratch.at('d'))[Symbol.dispose]();
    scratch.make('d/node-1/x', 'd/mine/x', 'd/node-old', 'd/.hidden');
    const report = await remove(scratch.at('d'));
    expect(report).toEqual({ kept: expect.arrayContaining(['mine', 'node-old', '.hidden']), isGone: false });
    expect(readdirSync(scratch.at('d')).toSorted()).toEqual(['.hidden', 'mine', 'node-old']);
    scratch.make('e/');
    claim(scratch.at('e'))[Symbol.dispose]();
    expect(describeKept('/e', (await remove(scratch.at('e'))) ?? { kept: [], isGone: true })).toBe(
      '/e stays, empty: podwright did not make it',
    );
  });

  it('takes of a shared directory only what the role put there', async () => {
    using scratch = openScratch();

    for (const role of ['server', 'agent'] as const) claim(scratch.at('d'), role)[Symbol.dispose]();
    scratch.make('d/store/x', 'd/images/x');
    await remove(scratch.at('d'), 'agent');
    expect(readdirSync(scratch.at('d')).toSorted()).toEqual(['.podwright-server', 'store']);
    expect(await remove(scratch.at('d'), 'server')).toMatchObject({ isGone: true });
  });

  it('refuses while somebody uses it, and what of an installed program lies in it', async () => {
    using scratch = openScratch();

    using claimed = claim(scratch.at('d'));
    await expect(remove(scratch.at('d'))).rejects.toMatchObject({ code: 'E_BUSY' });
    claimed[Symbol.dispose]();
    using _server = claim(scratch.at('d/server'), 'server');

    scratch.make('d/kubeconfig');
    await expect(remove(scratch.at('d'))).rejects.toThrow(/uses .*\/d\/server; stop it first/);
    expect(readdirSync(scratch.at('d'))).toContain('kubeconfig');
  });

  it.each(['/', '/etc', '/home', '/root', '/tmp', '/run', '/usr/lib/x', '/home/somebody'])(
    'refuses %s by name',
    (path) => {
      expect(thrown(() => proveOwned(path, 'up'))).toMatch(
        /^remove .*: it (is|lies) .*; nothing was removed$/,
      );
    },
  );

  it('refuses what has no marker, links, and files', () => {
    using scratch = openScratch();

    scratch.make('d/x', 'images/images.json', 'f');
    claim(scratch.at('real'))[Symbol.dispose]();
    symlinkSync(scratch.at('real'), scratch.at('link'));
    expect(thrown(() => proveOwned(scratch.at('d'), 'up'))).toMatch(
      /not a directory of podwright up .* name the right one with --data/,
    );
    expect(thrown(() => proveOwned(scratch.at('real'), 'agent'))).toMatch(
      /not a directory of podwright agent/,
    );
    expect(thrown(() => proveOwned(scratch.at('link'), 'up'))).toMatch(
      /a symbolic link; name what it leads to/,
    );
    expect(thrown(() => proveOwned(scratch.at('f'), 'up'))).toMatch(/no directory/);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "refuses a marker that anybody else could have written, and what is not root's",
    () => {
      using scratch = openScratch();

      claim(scratch.at('d'))[Symbol.dispose]();
      const marker = join(scratch.at('d'), markerName('up'));
      chownSync(marker, 1000, 1000);
      expect(thrown(() => proveOwned(scratch.at('d'), 'up'))).toContain('belongs to uid 1000');
      chownSync(marker, 0, 0);
      chmodSync(marker, 0o666);
      expect(thrown(() => proveOwned(scratch.at('d'), 'up'))).toContain('everybody may write to it');
      chmodSync(marker, 0o600);
      chownSync(scratch.at('d'), 1000, 1000);
      expect(thrown(() => proveOwned(scratch.at('d'), 'up'))).toContain('belongs to uid 1000, not to root');
    },
  );

  describe.skipIf(process.getuid?.() !== 0)('with mounts (needs root)', () => {
    beforeAll(enterOwnMounts);

    it('a directory of a file system that is read-only is told so, whatever its mode', () => {
      using scratch = openScratch();

      scratch.make('disk/');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'own', scratch.at('disk')]);
      claim(scratch.at('disk/d'))[Symbol.dispose]();
      execFileSync('mount', ['-o', 'remount,ro', scratch.at('disk')]);
      const remedy = /: its file system is read-only; mount it read-write first/;
      for (const path of ['disk', 'disk/d']) {
        expect(thrown(() => proveOwned(scratch.at(path), 'up'))).toMatch(remedy);
        expect(thrown(() => checkClaim(scratch.at(path), { role: 'up', option: '--data' }))).toMatch(remedy);
      }
      execFileSync('umount', [scratch.at('disk')]);
    });

    it('a directory that it made and could not use for want of space is gone again', () => {
      using scratch = openScratch();

      scratch.make('disk/');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=700,size=64k', 'own', scratch.at('disk')]);
      expect(() => writeFileSync(scratch.at('disk/x'), Buffer.alloc(1_000_000))).toThrow('ENOSPC');
      expect(thrown(() => claim(scratch.at('disk/d')))).toContain('no space left; free some');
      expect(readdirSync(scratch.at('disk'))).toEqual(['x']);
      execFileSync('umount', [scratch.at('disk')]);
    });

    it('empties a mount point and leaves it; a mount below goes and nothing through it', async () => {
      using scratch = openScratch();

      scratch.make('disk/', 'outside/f', 'bare/');
      for (const name of ['disk', 'bare'])
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'own', scratch.at(name)]);
      claim(scratch.at('disk'))[Symbol.dispose]();
      scratch.make('disk/node-1/pods/v/', 'disk/server/');
      for (const place of ['node-1/pods/v', 'server']) {
        execFileSync('mount', ['--bind', scratch.at('outside'), join(scratch.at('disk'), place)]);
      }
      expect(await remove(scratch.at('disk'))).toEqual({ kept: [], isGone: false });
      expect(readdirSync(scratch.at('disk'))).toEqual([]);
      expect(readdirSync(scratch.at('outside'))).toEqual(['f']);
      expect(thrown(() => proveOwned(scratch.at('bare'), 'up'))).toMatch(
        /something is mounted on it, and it is not/,
      );
      for (const name of ['disk', 'bare']) execFileSync('umount', [scratch.at(name)]);
    });
  });
});

describe('the names of a role', () => {
  it('foreignEntries() knows markers, early logs and entries of roles that have one', () => {
    const names = ['.podwright-server', 'store', 'agent.log', 'logs', 'lost+found', 'images', 'x'];
    expect(foreignEntries(names, 'agent')).toEqual(['images', 'x']);
    expect(foreignEntries(['.podwright-agent', 'images'], 'server')).toEqual([]);
  });

  it('isEntryOf() takes no name that only looks like one', () => {
    const ours = [
      'node-1',
      'node-64',
      'server',
      'up.log',
      'up.log.1',
      'up.json.new',
      '.up.json.12-0-3.draft',
    ];
    const others = [
      'node-',
      'node-x',
      'node-1x',
      'node-1234',
      'xnode-1',
      'up.log2',
      'kubeconfig2',
      '.podwright-up',
    ];
    expect(ours.filter((name) => !isEntryOf('up', name))).toEqual([]);
    expect(others.filter((name) => isEntryOf('up', name))).toEqual([]);
  });

  it('parseMarker() takes its own and nothing else', () => {
    const marker = { version: 1, role: 'up', id: 'b4f43e0e-2ffc-4f44-9a5d-8a86a1ddf8a6', made: true };
    expect(parseMarker(JSON.stringify(marker), 'up')).toEqual(marker);
    const broken = [
      { ...marker, version: 2 },
      { ...marker, role: 'run' },
      { ...marker, id: 'x' },
      null,
      7,
      [],
    ];
    for (const each of broken) expect(parseMarker(JSON.stringify(each), 'up')).toBeUndefined();
    expect(parseMarker('{', 'up')).toBeUndefined();
  });
});

it('cgroupPathProblem() wants a plain path below the mount', () => {
  const root = '/sys/fs/cgroup';
  const problemOf = (path: string): boolean => cgroupPathProblem({ path, root }) !== undefined;
  const bad = ['/', root, '/sys/fs', '/etc', 'x', `${root}/../../../etc`, `${root}x/y`, `${root}/a/`];
  expect([...bad.map(problemOf), problemOf(`${root}/podwright`)]).toEqual([...bad.map(() => true), false]);
});
