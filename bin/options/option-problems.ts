/** What options of both programs have in common: how they are refused, and what a duration and a name look like. Pure. */
import { parseDurationMs } from '#api/meta/duration.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Role } from '#bin/program/program.ts';

/** @throws E_USAGE with all that is wrong, in one line */
export function refuseOptions(role: Role, problems: readonly string[]): void {
  if (problems.length > 0) throw new PodwrightError('E_USAGE', `start ${role}: ${problems.join('; ')}`);
}

/** @returns what is wrong, beginning with the option's name, as all of these do */
export function durationProblems(option: string, text: string): string[] {
  try {
    return parseDurationMs(text) >= 0 ? [] : [`${option} ${text}: must not be negative`];
  } catch {
    return [`${option} ${text}: not a duration; write 2m, 1h30m`];
  }
}

export function nameProblems(option: string, name: string): readonly string[] {
  return dnsSubdomain(name).length === 0
    ? []
    : [`${option} ${JSON.stringify(name)}: not a name; write lower case letters, digits, '-' and '.'`];
}
