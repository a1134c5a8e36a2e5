import { describeError } from '#base/errors.ts';
import { readSchedulerConfiguration } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';

/** What is wrong with the file of `--scheduler-config`. */
export function schedulerProblems({
  schedulerConfig,
}: Pick<ServerCommandOptions, 'schedulerConfig'>): readonly string[] {
  try {
    readSchedulerConfiguration(schedulerConfig);
    return [];
  } catch (error) {
    return [`--scheduler-config: ${describeError(error)}`];
  }
}
