import { describe, expect, it } from 'vitest';
import type { Mounts } from './mount.ts';

/** What both mounts must do, below `directory`, in which a/, b/ and b/c/ exist. */
export function proveMounts(
  name: string,
  open: () => Promise<{ readonly mounts: Mounts; readonly directory: string } & AsyncDisposable>,
): void {
  describe(`${name} satisfies the mount port`, () => {
    it('mount() and unmount() of a tmpfs, read-only after remount()', async () => {
      await using given = await open();

      const { mounts, directory } = given;
      const target = `${directory}/a`;
      const find = () => mounts.list().findLast((info) => info.target === target);
      mounts.mount(target, { kind: 'tmpfs', sizeBytes: 65_536, mode: 0o700 }, ['nosuid', 'nodev']);
      expect(find()).toMatchObject({ type: 'tmpfs', source: 'tmpfs' });
      expect(find()?.options).toEqual(expect.arrayContaining(['rw', 'nosuid', 'nodev']));
      mounts.remount(target, ['ro', 'nosuid']);
      expect(find()?.options).toContain('ro');
      expect(find()?.options).not.toContain('nodev');
      expect(mounts.unmount(target)).toBe(true);
      expect(mounts.unmount(target)).toBe(false);
    });

    it('mount() of a bind takes options at once', async () => {
      await using given = await open();

      const { mounts, directory } = given;
      mounts.mount(`${directory}/a`, { kind: 'bind', source: `${directory}/b` }, ['ro', 'noexec']);
      const options = mounts.list().find((info) => info.target === `${directory}/a`)?.options;
      expect(options).toEqual(expect.arrayContaining(['ro', 'noexec']));
      expect(mounts.unmount(`${directory}/a`)).toBe(true);
    });

    it('unmountTree() detaches all below, and nothing beside', async () => {
      await using given = await open();

      const { mounts, directory } = given;
      for (const path of ['a', 'b', 'b/c', 'b']) {
        mounts.mount(`${directory}/${path}`, { kind: 'bind', source: `${directory}/b`, recursive: true });
      }
      expect(mounts.unmountTree(`${directory}/b`)).toBeGreaterThanOrEqual(3);
      const left = mounts.list().filter((info) => info.target.startsWith(directory));
      expect(left.map((info) => info.target)).toEqual([`${directory}/a`]);
      expect(mounts.unmountTree(directory)).toBe(1);
      expect(mounts.unmountTree(directory)).toBe(0);
    });

    it('mount() on a missing target is E_NOT_FOUND', async () => {
      await using given = await open();

      const attempt = () => given.mounts.mount(`${given.directory}/missing`, { kind: 'tmpfs' });
      expect(attempt).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
    });

    it('remount() where nothing is mounted is refused', async () => {
      await using given = await open();

      expect(() => given.mounts.remount(`${given.directory}/a`, ['ro'])).toThrow('EINVAL');
    });

    it('setPropagation() is seen in the list', async () => {
      await using given = await open();

      const { mounts, directory } = given;
      const target = `${directory}/a`;
      mounts.mount(target, { kind: 'tmpfs' });
      const propagation = () =>
        mounts
          .list()
          .find((info) => info.target === target)
          ?.propagation.join();
      mounts.setPropagation(target, 'shared');
      expect(propagation()).toMatch(/^shared:\d+$/);
      mounts.setPropagation(target, 'private');
      expect(propagation()).toBe('');
      mounts.unmount(target);
    });
  });
}
