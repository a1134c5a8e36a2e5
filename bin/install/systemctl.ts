/** What is asked of systemd. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

import { PodwrightError } from '#base/errors.ts';

/** Where an administrator's units go, before those of packages. systemd.unit(5) */
export const unitDirectory = '/etc/systemd/system';

/** sd_booted(3) looks at the same directory. */
export const isBootedWithSystemd = (): boolean => existsSync('/run/systemd/system');

/** @throws E_INTERNAL with what systemctl said */
export async function systemctl(...args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('systemctl', args);
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new PodwrightError(
      'E_INTERNAL',
      `systemctl ${args.join(' ')}: ${said.split('\n')[0] ?? String(cause)}`,
      { cause },
    );
  }
}
