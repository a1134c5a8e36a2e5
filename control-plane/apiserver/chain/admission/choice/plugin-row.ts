import type { JsonObject } from '#api/meta/object.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';

/** What the file of `--admission-control-config-file` says of one plugin. */
export interface PluginConfiguration {
  /** Inline or of the file that it names: YAML or JSON, read; of no shape yet (`checkConfigDocument`). */
  readonly value: JsonObject;
  /** Where relative paths in it begin. */
  readonly directory: string;
  /** Where it stands, absolute. */
  readonly file: string;
}

/** A plugin that a server may be started with or without. */
export interface PluginRow {
  /** As upstream calls it. */
  readonly name: string;
  readonly onByDefault: boolean;
  /** The plugin of one server. Absent: upstream has it, and nobody can switch it on here. @throws {E_INVALID} where it cannot be without a configuration */
  readonly create?: () => AdmissionPlugin;
  /** The same, by its configuration. Absent: it takes none. @throws {E_INVALID} beginning with the field that is wrong */
  readonly configure?: (configuration: PluginConfiguration) => AdmissionPlugin;
}

/** One that is on unless it is switched off. */
export function on(plugin: AdmissionPlugin): PluginRow {
  return { name: plugin.name, onByDefault: true, create: () => plugin };
}

/** One that is off unless it is switched on. */
export function off(plugin: AdmissionPlugin): PluginRow {
  return { name: plugin.name, onByDefault: false, create: () => plugin };
}

/** Of upstream's those that are not built: to leave one out changes nothing, to ask for it is refused. */
export function notBuilt(name: string, how: 'on' | 'off'): PluginRow {
  return { name, onByDefault: how === 'on' };
}
