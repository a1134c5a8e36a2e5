import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { monitorLogs, type LogMonitorOptions } from './log-monitor.ts';
import { rotatedLogs } from './rotate-logs.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-monitor-'));
  path = join(directory, '0.log');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('monitorLogs()', () => {
  it('looks at once, as its process may not live to the second look, and then again and again', async () => {
    const write = (): void => writeFileSync(path, 'large enough');
    const reopen = async (): Promise<void> => writeFileSync(path, '', { flag: 'a' });
    const clock = createFakeClock();
    const options: LogMonitorOptions = {
      rotation: { sizeBytesMax: 10, filesMax: 5 },
      intervalMs: 10_000,
      logs: () => [{ path, reopen }],
      clock,
      log: silentLogger,
    };
    write();
    using _monitor = monitorLogs(options);

    await vi.waitFor(async () => expect(await rotatedLogs(path)).toHaveLength(1), { timeout: 60_000 });
    write();
    await vi.waitFor(
      async () => {
        clock.advance(10_000);
        expect(await rotatedLogs(path)).toHaveLength(2);
      },
      { timeout: 60_000 },
    );
  });
});
