import { checkConfigDocument, type DocumentKind } from '#api/config/config-document.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import type { PluginConfiguration } from '#control-plane/apiserver/chain/admission/choice/plugin-row.ts';
import { manifestDirectoryOf } from './manifest-directory.ts';

/** The plugin, with the manifests of the directory that its configuration names, if it does. @throws {E_INVALID} where that is none */
export function withManifests(
  plugin: AdmissionPlugin,
  kinds: readonly Kind[],
  { value }: Pick<PluginConfiguration, 'value'>,
): AdmissionPlugin {
  const directory = manifestDirectoryOf(value);
  return directory === undefined
    ? plugin
    : { ...plugin, manifests: { plugin: plugin.name, directory, kinds } };
}

/** The same of a plugin whose configuration says nothing else: `ValidatingAdmissionPolicyConfiguration`. @throws {E_INVALID} for another document */
export function withPolicyManifests(
  plugin: AdmissionPlugin,
  kinds: readonly Kind[],
  { value }: PluginConfiguration,
): AdmissionPlugin {
  const document: DocumentKind = {
    kind: `${plugin.name}Configuration`,
    apiVersions: ['apiserver.config.k8s.io/v1'],
    fields: { staticManifestsDir: 'string' },
  };
  return withManifests(plugin, kinds, { value: checkConfigDocument(value, document) });
}
