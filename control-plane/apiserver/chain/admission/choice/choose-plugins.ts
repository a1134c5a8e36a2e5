import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { PluginConfiguration, PluginRow } from './plugin-row.ts';

/** Which plugins somebody wants, by name. */
export interface PluginChoice {
  /** Beside those that are on by default. */
  readonly enabled: readonly string[];
  /** Of those that are on by default. */
  readonly disabled: readonly string[];
}

/** By name of plugin. */
export type PluginConfigurations = ReadonlyMap<string, PluginConfiguration>;

export const defaultChoice: PluginChoice = { enabled: [], disabled: [] };

/** All that is wrong with a choice, each beginning with the option's name, as kube-apiserver calls it. Pure. */
export function choiceProblems(rows: readonly PluginRow[], choice: PluginChoice): readonly string[] {
  const { enabled, disabled } = choice;
  return [
    ...enabled.flatMap((name) => enableProblems(rows, name)),
    ...disabled.flatMap((name) => unknownProblems(rows, '--disable-admission-plugins', name)),
    ...enabled
      .filter((name) => disabled.includes(name))
      .map((name) => `--enable-admission-plugins ${name}: --disable-admission-plugins has it too`),
  ];
}

function enableProblems(rows: readonly PluginRow[], name: string): readonly string[] {
  const option = '--enable-admission-plugins';
  const row = rows.find((known) => known.name === name);
  if (row === undefined || row.create !== undefined) return unknownProblems(rows, option, name);
  return [`${option} ${name}: podwright does not have it yet`];
}

function unknownProblems(rows: readonly PluginRow[], option: string, name: string): readonly string[] {
  if (rows.some((row) => row.name === name)) return [];
  return [`${option} ${JSON.stringify(name)}: is none of ${rows.map((row) => row.name).join(', ')}`];
}

/** The plugins of a server, in the order of the rows. @throws {E_INVALID} for a choice or a configuration that is wrong */
export function choosePlugins(
  rows: readonly PluginRow[],
  choice: PluginChoice = defaultChoice,
  configurations: PluginConfigurations = new Map(),
): readonly AdmissionPlugin[] {
  const [problem] = [...choiceProblems(rows, choice), ...configurationProblems(rows, configurations)];
  if (problem !== undefined) throw new PodwrightError('E_INVALID', problem);
  return rows
    .filter((row) => isOn(row, choice))
    .flatMap((row) => {
      const plugin = createOne(row, configurations.get(row.name));
      return plugin === undefined ? [] : [plugin];
    });
}

/** Those that have a configuration and are off: it has no effect. */
export function idleConfigurations(
  rows: readonly PluginRow[],
  choice: PluginChoice,
  configurations: PluginConfigurations,
): readonly string[] {
  return rows.filter((row) => configurations.has(row.name) && !isOn(row, choice)).map((row) => row.name);
}

function isOn({ name, onByDefault }: PluginRow, { enabled, disabled }: PluginChoice): boolean {
  return enabled.includes(name) || (onByDefault && !disabled.includes(name));
}

function configurationProblems(
  rows: readonly PluginRow[],
  configurations: PluginConfigurations,
): readonly string[] {
  return [...configurations].flatMap(([name, { file }]) => {
    const row = rows.find((known) => known.name === name);
    if (row === undefined) {
      return [
        `${file}: there is no plugin ${JSON.stringify(name)}; known are ${rows.map((known) => known.name).join(', ')}`,
      ];
    }
    return row.configure === undefined ? [`${file}: plugin ${name} takes no configuration`] : [];
  });
}

function createOne(
  { name, create, configure }: PluginRow,
  configuration: PluginConfiguration | undefined,
): AdmissionPlugin | undefined {
  try {
    return configuration === undefined ? create?.() : configure?.(configuration);
  } catch (error) {
    const where = configuration === undefined ? '' : `${configuration.file}: `;
    throw new PodwrightError('E_INVALID', `${where}plugin ${name}: ${describeError(error)}`, {
      cause: error,
    });
  }
}
