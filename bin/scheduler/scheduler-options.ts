import { resolve } from 'node:path';
import { describeError } from '#base/errors.ts';
import { readSchedulerConfiguration } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { listPlugins } from '#control-plane/scheduler/outside/plugin-host.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';

/** What is wrong with the file of `--scheduler-config`, or the folder of `--scheduler-plugins`. */
export function schedulerProblems({
  schedulerConfig,
  schedulerPlugins,
}: Pick<ServerCommandOptions, 'schedulerConfig' | 'schedulerPlugins'>): readonly string[] {
  return [
    ...problemOf('--scheduler-config', () => readSchedulerConfiguration(schedulerConfig)),
    ...problemOf('--scheduler-plugins', () => pluginFilesIn(schedulerPlugins)),
  ];
}

/** Of options without problems. */
export function pluginFilesOf({
  schedulerPlugins,
}: Pick<ServerCommandOptions, 'schedulerPlugins'>): readonly string[] {
  return pluginFilesIn(schedulerPlugins);
}

function pluginFilesIn(directory: string | undefined): readonly string[] {
  return directory === undefined ? [] : listPlugins(resolve(directory));
}

function problemOf(option: string, read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    return [`${option}: ${describeError(error)}`];
  }
}
