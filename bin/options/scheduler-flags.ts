/** What the scheduler is told: options of `server`. */
import type { Command } from 'commander';
import { integer } from './argument.ts';

export function addSchedulerOptions(command: Command): Command {
  return command
    .option(
      '--scheduler-config <file>',
      'a KubeSchedulerConfiguration: profiles, plugins, extenders (default: none)',
    )
    .option('--scheduler-plugins <dir>', 'modules in TypeScript that the scheduler asks, too (default: none)')
    .option(
      '--scheduler-port <port>',
      "/metrics, /healthz and /configz of the scheduler, at the advertised address, as kube-scheduler's --secure-port 10259; 0: none",
      integer(0, 65_535),
      0,
    )
    .option('--disable-scheduler', 'another program binds pods to nodes, as a kube-scheduler of your own');
}
