import { resolve } from 'node:path';
import { describeError } from '#base/errors.ts';
import { readSchedulerConfiguration } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { listPlugins } from '#control-plane/scheduler/outside/plugin-host.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';

type SchedulerOptions = Pick<
  ServerCommandOptions,
  'schedulerConfig' | 'schedulerPlugins' | 'schedulerPort' | 'disableScheduler'
>;

/** What is wrong with the file of `--scheduler-config`, the folder of `--scheduler-plugins`, and with what nobody would heed. */
export function schedulerProblems({
  schedulerConfig,
  schedulerPlugins,
  schedulerPort = 0,
  disableScheduler = false,
}: SchedulerOptions): readonly string[] {
  const unheeded = {
    '--scheduler-config': schedulerConfig !== undefined,
    '--scheduler-plugins': schedulerPlugins !== undefined,
    '--scheduler-port': schedulerPort !== 0,
  };
  const said = Object.entries(unheeded).flatMap(([option, isGiven]) =>
    disableScheduler && isGiven
      ? [`${option}: with --disable-scheduler there is none here; leave one of them out`]
      : [],
  );
  return [
    ...said,
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
