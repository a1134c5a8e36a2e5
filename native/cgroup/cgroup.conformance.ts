import { describe, expect, it } from 'vitest';
import type { CgroupEvent, Cgroups } from './cgroup.ts';

/** An empty tree, with whichever controllers the host has to give. */
export interface CgroupsGiven extends AsyncDisposable {
  readonly cgroups: Cgroups;
  /** Starts a process that lives until it is killed. */
  startProcess(): Promise<number>;
}

/** What both cgroups must do. */
export function proveCgroups(name: string, open: () => Promise<CgroupsGiven>): void {
  describe(`${name} satisfies the cgroup port`, () => {
    it('ensure() makes the way down, is safe to repeat and reports what is missing', async () => {
      await using given = await open();

      const { cgroups } = given;
      const report = await cgroups.ensure('a/b/c', ['hugetlb', 'memory']);
      const here = await cgroups.available();
      expect(report.missing).toEqual(['hugetlb', 'memory'].filter((name) => !here.includes(name)));
      expect(await cgroups.ensure('a/b/c', ['hugetlb', 'memory'])).toEqual(report);
      expect(await cgroups.children('a')).toEqual(['b']);
      expect(cgroups.directory('a/b')).toMatch(/\/a\/b$/);
      await cgroups.remove('a', 1_000);
      expect(await cgroups.children('')).toEqual([]);
    });

    it('apply() writes what it can and reports the rest', async () => {
      await using given = await open();

      const { cgroups } = given;
      const { missing } = await cgroups.ensure('a', ['hugetlb', 'memory']);
      const report = await cgroups.apply('a', {
        memoryLimitBytes: 1_048_576,
        hugepageLimits: [{ pageSize: '2MB', limitBytes: 2_097_152 }],
      });
      expect(report).toEqual({ missing });
    });

    it('addProcess(), processes(), kill() and remove()', async () => {
      await using given = await open();

      const { cgroups } = given;
      await cgroups.ensure('a/b', []);
      const pid = await given.startProcess();
      await cgroups.addProcess('a/b', pid);
      expect(await cgroups.processes('a/b')).toEqual([pid]);
      expect((await cgroups.stats('a'))?.isPopulated).toBe(true);
      await cgroups.remove('a', 5_000);
      expect(await cgroups.stats('a')).toBeUndefined();
      await cgroups.kill('a');
      await cgroups.remove('a', 1_000);
    });

    it('watch() tells the present and each change', async () => {
      await using given = await open();

      const { cgroups } = given;
      await cgroups.ensure('a', []);
      const events: CgroupEvent[] = [];
      let changed = Promise.withResolvers<void>();
      await using watch = await cgroups.watch('a', (event) => {
        events.push(event);
        changed.resolve();
      });

      expect(watch).toBeDefined();
      expect(events).toEqual([{ kind: 'populated', isPopulated: false }]);
      changed = Promise.withResolvers();
      await cgroups.addProcess('a', await given.startProcess());
      await changed.promise;
      expect(events.at(-1)).toEqual({ kind: 'populated', isPopulated: true });
      changed = Promise.withResolvers();
      await cgroups.kill('a');
      await changed.promise;
      expect(events.at(-1)).toEqual({ kind: 'populated', isPopulated: false });
    });

    it('a cgroup that is not there: stats and children say so, the rest is E_NOT_FOUND', async () => {
      await using given = await open();

      const { cgroups } = given;
      expect(await cgroups.stats('none')).toBeUndefined();
      expect(await cgroups.children('none')).toEqual([]);
      const notFound = expect.objectContaining({ code: 'E_NOT_FOUND' });
      await expect(cgroups.processes('none')).rejects.toEqual(notFound);
      await expect(cgroups.addProcess('none', 1)).rejects.toEqual(notFound);
      await expect(cgroups.apply('none', { pidsMax: 1 })).rejects.toEqual(notFound);
      await expect(cgroups.watch('none', () => {})).rejects.toEqual(notFound);
    });

    it('refuses paths that climb out', async () => {
      await using given = await open();

      for (const path of ['../x', 'a/../../x', '/abs', 'a//b']) {
        expect(() => given.cgroups.directory(path)).toThrow('use cgroup path');
      }
    });
  });
}
