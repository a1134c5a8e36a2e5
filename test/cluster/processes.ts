import { readFileSync, readdirSync } from 'node:fs';

/** Pids of processes whose command line matches, as the whole machine sees them. */
export function pidsOf(pattern: RegExp): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        return false; // It ended while we looked.
      }
    })
    .map(Number);
}
