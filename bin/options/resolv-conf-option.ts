import { accessSync, constants } from 'node:fs';

import { errnoOf } from '#base/errors.ts';
import type { AgentCommandOptions } from './command-options.ts';

/** What is wrong with a resolv.conf that was named; the host's own may be missing. */
export function resolvConfProblems({
  resolvConf,
}: Pick<AgentCommandOptions, 'resolvConf'>): readonly string[] {
  if (resolvConf === undefined) return [];
  try {
    accessSync(resolvConf, constants.R_OK);
    return [];
  } catch (error) {
    return [
      `--resolv-conf ${resolvConf}: ${errnoOf(error) ?? 'unreadable'}; name a file as resolv.conf(5) has it`,
    ];
  }
}
