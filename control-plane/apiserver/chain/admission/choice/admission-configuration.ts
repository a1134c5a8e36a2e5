import { dirname, resolve } from 'node:path';
import { readConfigFile, readMappingFile, type DocumentKind } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { PluginConfigurations } from './choose-plugins.ts';
import type { PluginConfiguration } from './plugin-row.ts';

/** The file of `--admission-control-config-file` (apiserver.config.k8s.io, AdmissionConfiguration). */
const document: DocumentKind = {
  kind: 'AdmissionConfiguration',
  apiVersions: ['apiserver.config.k8s.io/v1', 'apiserver.k8s.io/v1alpha1'],
  fields: { plugins: [{ name: 'string', path: 'string', configuration: 'any' }] },
};

/**
 * What it says of each plugin, inline or in a file of its own, whose path begins where this file is.
 * @throws {E_INVALID} with the file and all that is wrong in it
 */
export function readAdmissionConfiguration(file: string): PluginConfigurations {
  const path = resolve(file);
  return readConfigFile(path, document, (configuration) => pluginsOf(configuration, path));
}

function pluginsOf(configuration: JsonObject, file: string): PluginConfigurations {
  const plugins = objectsOf(configuration['plugins']);
  const problems = plugins.flatMap((plugin, index) => pluginProblems(plugins, plugin, index));
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
  return new Map(
    plugins.flatMap((plugin) => {
      const own = configurationOf(plugin, file);
      return own === undefined ? [] : [[stringOf(plugin['name']), own] as const];
    }),
  );
}

function pluginProblems(
  plugins: readonly JsonObject[],
  plugin: JsonObject,
  index: number,
): readonly string[] {
  const at = `plugins[${index}]`;
  const { name, path, configuration } = plugin;
  const isTwice = plugins.findIndex((other) => other['name'] === name) !== index;
  const isInline = configuration !== undefined && configuration !== null;
  return [
    ...(stringOf(name) === '' ? [`${at}.name: say which plugin`] : []),
    ...(isTwice ? [`${at}.name: ${JSON.stringify(name)} twice`] : []),
    ...(isInline && stringOf(path) !== '' ? [`${at}: give path or configuration, not both`] : []),
    ...(isInline && !isObject(configuration) ? [`${at}.configuration: not a mapping`] : []),
  ];
}

/** undefined: nothing is said. */
function configurationOf({ path, configuration }: JsonObject, file: string): PluginConfiguration | undefined {
  if (isObject(configuration)) return { value: configuration, directory: dirname(file), file };
  if (stringOf(path) === '') return undefined;
  const own = resolve(dirname(file), stringOf(path));
  return { value: readMappingFile(own), directory: dirname(own), file: own };
}
