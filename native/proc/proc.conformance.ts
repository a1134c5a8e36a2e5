import { describe, expect, it } from 'vitest';
import type { Proc } from './proc.ts';

/** What both procs must do. `startProcess` starts one that ends on SIGTERM, and gives its pid. */
export function proveProc(
  name: string,
  open: () => Promise<{ readonly proc: Proc; startProcess(): Promise<number> } & AsyncDisposable>,
): void {
  describe(`${name} satisfies the proc port`, () => {
    it('facts are plausible', async () => {
      await using given = await open();

      const { proc } = given;
      expect(proc.bootId()).toMatch(/^[0-9a-f-]{36}$/);
      expect(proc.kernelRelease()).toMatch(/^\d+\.\d+/);
      expect(proc.cpuCount()).toBeGreaterThan(0);
      expect(proc.memory().totalBytes).toBeGreaterThanOrEqual(proc.memory().availableBytes);
    });

    it('open() holds a process until it ends', async () => {
      await using given = await open();

      const pid = await given.startProcess();
      const startTicks = given.proc.stat(pid)?.startTicks;
      using handle = given.proc.open(pid, startTicks);

      expect(handle?.isRunning()).toBe(true);
      expect(handle?.signal(0)).toBe(true);
      expect(handle?.signal(15)).toBe(true);
      await handle?.ended(AbortSignal.timeout(150_000));
      expect(handle?.isRunning()).toBe(false);
    });

    it('open() gives nothing for another start time or a free pid', async () => {
      await using given = await open();

      const pid = await given.startProcess();
      expect(given.proc.open(pid, 1n)).toBeUndefined();
      expect(given.proc.open(4_194_303)).toBeUndefined();
      expect(given.proc.stat(4_194_303)).toBeUndefined();
    });

    it('ended() rejects when aborted', async () => {
      await using given = await open();

      using handle = given.proc.open(await given.startProcess());

      await expect(handle?.ended(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    });
  });
}
