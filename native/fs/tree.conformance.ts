import { describe, expect, it } from 'vitest';
import { errnoOf } from '#base/errors.ts';
import { removeEntry, removeTree } from './remove-tree.ts';
import type { Trees } from './tree.ts';
import { walkTree } from './walk-tree.ts';

export interface GivenTrees extends AsyncDisposable {
  readonly trees: Trees;
  /** Exists and is empty. */
  readonly directory: string;
  /** Below the directory; directories on the way are made. */
  make(path: string, type: 'directory' | 'file' | 'link'): void;
  mount(path: string): void;
  /** All paths below the directory, sorted. */
  paths(): readonly string[];
}

const errnoFrom = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
};

/** What the kernel does and every fake must. Links made by `make` lead to `/etc`. */
export function proveTrees(name: string, open: (canMount: boolean) => Promise<GivenTrees>): void {
  describe(`${name} satisfies the port of trees`, () => {
    proveDirectories(open);
    proveWalk(open);
    proveRemoval(open);
  });
}

function proveDirectories(open: (canMount: boolean) => Promise<GivenTrees>): void {
  it('opens one component and never a link, a file, a mount or what is none', async () => {
    await using given = await open(true);

    given.make('d/in', 'file');
    given.make('l', 'link');
    given.make('m', 'directory');
    given.mount('m');
    using root = given.trees.open(given.directory);

    const tryOpen = (name: string): string | undefined =>
      errnoFrom(() => root.openDirectory(Buffer.from(name))[Symbol.dispose]());
    expect([tryOpen('d'), tryOpen('l'), tryOpen('m'), tryOpen('none')]).toEqual([
      undefined,
      expect.stringMatching(/^(ELOOP|ENOTDIR)$/),
      'EXDEV',
      'ENOENT',
    ]);
    using d = root.openDirectory(Buffer.from('d'));

    expect(errnoFrom(() => d.openDirectory(Buffer.from('in')))).toBe('ENOTDIR');
    using up = d.openParent();

    expect(up.stat().inode).toBe(root.stat().inode);
    for (const bad of ['', '.', '..', 'd/in', 'x\0y']) {
      expect(() => root.openDirectory(Buffer.from(bad))).toThrow(/names no entry/);
      expect(() => root.removeFile(Buffer.from(bad))).toThrow(/names no entry/);
      expect(() => root.removeDirectory(Buffer.from(bad))).toThrow(/names no entry/);
      expect(() => root.removeEmpty(Buffer.from(bad))).toThrow(/names no entry/);
    }
  });

  it('tells entries, their types and owners', async () => {
    await using given = await open(false);

    for (const [path, type] of [['d', 'directory'], ['f', 'file'], ['l', 'link']] as const) given.make(path, type); // prettier-ignore
    using root = given.trees.open(given.directory);

    const entries = root.read(0n);
    const told = entries.map(({ name, type }) => `${name.toString()} ${type}`).toSorted();
    expect(told).toEqual(['d directory', 'f file', 'l link']);
    expect(root.read(entries.at(-1)?.next ?? 0n)).toEqual([]);
    root.changeOwner(Buffer.from('l'), { uid: 7, gid: 8 });
    expect(root.statOf(Buffer.from('l'))).toMatchObject({ type: 'link', uid: 7, gid: 8 });
    expect(root.readLink(Buffer.from('l')).toString()).toBe('/etc');
    expect(root.statOf(Buffer.from('none'))).toBeUndefined();
  });

  it('removes with the errnos of unlinkat(2)', async () => {
    await using given = await open(false);

    given.make('d/f', 'file');
    using root = given.trees.open(given.directory);

    const [d, none] = [Buffer.from('d'), Buffer.from('none')];
    expect(errnoFrom(() => root.removeDirectory(d))).toBe('ENOTEMPTY');
    expect(errnoFrom(() => root.removeFile(d))).toBe('EISDIR');
    expect(errnoFrom(() => root.removeFile(none))).toBe('ENOENT');
    expect(errnoFrom(() => root.removeDirectory(none))).toBe('ENOENT');
    expect(root.unmount(d)).toBe(false);
  });

  it('removes a directory at once only when it is one, and empty', async () => {
    await using given = await open(false);

    for (const [path, type] of [['d/f', 'file'], ['l', 'link'], ['e', 'directory']] as const) given.make(path, type); // prettier-ignore
    using root = given.trees.open(given.directory);

    const went = ['d', 'l', 'none', 'e'].filter((name) => root.removeEmpty(Buffer.from(name)));
    expect(went).toEqual(['e']);
    expect(root.read(0n).map(({ name }) => name.toString()).toSorted()).toEqual(['d', 'l']); // prettier-ignore
  });
}

function proveWalk(open: (canMount: boolean) => Promise<GivenTrees>): void {
  it('walkTree() sees everything once, deep and wide, and holds few directories open', async () => {
    await using given = await open(false);

    const deep = Array.from({ length: 100 }, (_, index) => `d${index}`).join('/');
    given.make(`${deep}/end`, 'file');
    for (let index = 0; index < 250; index++) given.make(`d0/d1/f${index}`, 'file');
    given.make('d0/d1/x/y', 'directory');
    using root = given.trees.open(given.directory);

    const seen: string[] = [];
    const stack: string[] = [];
    await walkTree(root, {
      visit: ({ entry }) => void seen.push([...stack, entry.name.toString()].join('/')),
      enter: ({ entry }) => {
        stack.push(entry.name.toString());
        seen.push(stack.join('/'));
        return true;
      },
      leave: ({ entry }) => {
        expect(stack.pop()).toBe(entry.name.toString());
        return 'done';
      },
    });
    expect(seen.toSorted()).toEqual(given.paths());
  });

  it('walkTree() skips what enter() refuses, mounts and links', async () => {
    await using given = await open(true);

    for (const path of ['no/x', 'm/x', 'yes/x']) given.make(path, 'file');
    given.make('l', 'link');
    given.mount('m');
    using root = given.trees.open(given.directory);

    const seen: string[] = [];
    await walkTree(root, {
      visit: ({ entry }) => void seen.push(entry.name.toString()),
      enter: ({ entry }) => entry.name.toString() !== 'no',
    });
    expect(seen.toSorted()).toEqual(['l', 'x']);
  });
}

function proveRemoval(open: (canMount: boolean) => Promise<GivenTrees>): void {
  it('removeTree() removes any depth and width, links and not what they lead to', async () => {
    await using given = await open(false);

    given.make(`t/${'d/'.repeat(200)}end`, 'file');
    for (let index = 0; index < 300; index++) given.make(`t/w${index}/f`, 'file');
    given.make('t/l', 'link');
    given.make('keep', 'file');
    expect(await removeTree(`${given.directory}/t`, { trees: given.trees })).toBe(1 + 200 + 1 + 600 + 1);
    expect(given.paths()).toEqual(['keep']);
    expect(await removeTree(`${given.directory}/t`, { trees: given.trees })).toBe(0);
    expect(await removeTree(`${given.directory}/none/t`, { trees: given.trees })).toBe(0);
    expect(await removeTree(`${given.directory}/keep`, { trees: given.trees })).toBe(1);
  });

  it('removeTree() unmounts what is mounted below and on it, and follows none', async () => {
    await using given = await open(true);

    for (const path of ['t/a/m', 't/m']) given.make(path, 'directory');
    for (const path of ['t/a/m', 't/m', 't/m', 't']) given.mount(path);
    await removeTree(`${given.directory}/t`, { trees: given.trees });
    expect(given.paths()).toEqual([]);
  });

  it('removeEntry() can keep the directory itself', async () => {
    await using given = await open(false);

    given.make('t/d/f', 'file');
    using root = given.trees.open(given.directory);

    await removeEntry(root, Buffer.from('t'), { keepsRoot: true });
    expect(given.paths()).toEqual(['t']);
  });
}
