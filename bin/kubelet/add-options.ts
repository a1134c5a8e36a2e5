/** Options of an agent about files that configure it. */
import type { Command } from 'commander';

export function addKubeletConfigOptions(command: Command): Command {
  return command
    .option(
      '--config <file>',
      'a KubeletConfiguration: what it says holds where no option is given (default: none)',
    )
    .option('--config-dir <dir>', 'files *.conf that change the configuration, in the order of their names')
    .option(
      '--proxy-config <file>',
      'a KubeProxyConfiguration: what it says holds where no option is given (default: none)',
    )
    .option('--pod-manifest-path <path>', 'a directory of manifests of static pods, or one of them');
}

/** With the names of those that somebody gave: a KubeletConfiguration says the others. */
export function withGiven<T extends object>(
  options: T,
  command: Command,
): T & { readonly givenOptions: readonly string[] } {
  const givenOptions = Object.keys(options).filter(
    (name) => command.getOptionValueSource(name) !== 'default',
  );
  return { ...options, givenOptions };
}
