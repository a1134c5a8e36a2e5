/** `--runtime-config`: which group versions a server has beside those that every one has. Pure. */
import type { Command } from 'commander';
import { formatGroupVersion, type GroupVersion } from '#api/schema/kinds.ts';
import { builtInVersions, optionalVersions, type ServedVersion } from '#api/schema/served-version.ts';
import { collectAll } from './argument.ts';

export interface RuntimeConfigCommandOptions {
  /** `scheduling.k8s.io/v1alpha2=true`, as kube-apiserver has it. */
  readonly runtimeConfig?: readonly string[];
}

export function addRuntimeConfig(command: Command): Command {
  return command.option(
    '--runtime-config <group/version=true>',
    `serve this too: ${optionalVersions.map(formatGroupVersion).join(', ')} (default: none)`,
    collectAll,
    [],
  );
}

/** What is wrong with it. */
export function runtimeConfigProblems({
  runtimeConfig = [],
}: RuntimeConfigCommandOptions): readonly string[] {
  return runtimeConfig.flatMap((text) => {
    const { name, value } = parse(text);
    const said = `--runtime-config ${text}`;
    if (value !== 'true' && value !== 'false') return [`${said}: write GROUP/VERSION=true`];
    if (optionalVersions.some((version) => formatGroupVersion(version) === name)) return [];
    const isAlways = builtInVersions.some((version) => formatGroupVersion(version) === name);
    if (isAlways) return value === 'true' ? [] : [`${said}: it is served always`];
    const known = optionalVersions.map(formatGroupVersion).join(', ');
    return [`${said}: podwright has no ${name}; it has ${known}`];
  });
}

/** All that a server has, by options without problems; of one that is named twice the last counts. */
export function versionsServed({
  runtimeConfig = [],
}: RuntimeConfigCommandOptions): readonly ServedVersion[] {
  const said = new Map(
    runtimeConfig.map((text) => {
      const { name, value } = parse(text);
      return [name, value === 'true'];
    }),
  );
  const more = optionalVersions.filter((version) => said.get(formatGroupVersion(version)) === true);
  // Beside the others of their group, after them: discovery prefers what comes first.
  const beside = builtInVersions.flatMap((version, index) => {
    const isLastOfGroup = builtInVersions.slice(index + 1).every(({ group }) => group !== version.group);
    return [version, ...(isLastOfGroup ? more.filter(({ group }) => group === version.group) : [])];
  });
  return [...beside, ...more.filter((version) => !beside.includes(version))];
}

/** Whether the server has the kind. */
export function serves(options: RuntimeConfigCommandOptions, { group, version }: GroupVersion): boolean {
  return versionsServed(options).some((served) => served.group === group && served.version === version);
}

/** As kube-apiserver reads it: a name alone is `=true`. */
function parse(text: string): { readonly name: string; readonly value: string } {
  const [name = '', value = 'true'] = text.split('=', 2);
  return { name, value };
}
