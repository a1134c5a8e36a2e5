/** iptables and ip6tables, which firewalls of others and Docker are made of: what they drop no table of ours can let through. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { PodwrightError } from '#base/errors.ts';

/** Whoever holds the lock of xtables is waited for so long. */
const lockWaitSeconds = 5;

export type IptablesFamily = 4 | 6;

const programs = { 4: 'iptables', 6: 'ip6tables' } as const;

/** Runs the program of a family. @throws {E_KERNEL} with what it said */
export type Iptables = (
  family: IptablesFamily,
  args: readonly string[],
  signal: AbortSignal,
) => Promise<void>;

/** @throws E_UNSUPPORTED where there is no such program, E_KERNEL with what it said */
export const runIptables: Iptables = async (family, args, signal) => {
  const program = programs[family];
  const child = spawn(program, ['-w', String(lockWaitSeconds), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  });
  try {
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    if (code === 0) return;
    throw new PodwrightError(
      'E_KERNEL',
      `${program} ${args.join(' ')}: ${said.trim() || `exit code ${code}`}`,
    );
  } catch (cause) {
    if (cause instanceof PodwrightError) throw cause;
    throw new PodwrightError('E_UNSUPPORTED', `run ${program}: not installed, or stuck`, { cause });
  }
};
