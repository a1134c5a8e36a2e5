import type { JsonObject } from '#api/meta/object.ts';
import { cniError, cniErrorCode } from './cni-error.ts';
import { asObject, field, parseJsonObject } from './json-field.ts';
import { renderResult, type CniResult } from './result.ts';
import { highestCommonVersion, isCniVersion, unsaidCniVersion, type CniVersion } from './version.ts';

/** One entry of a list's `plugins`: `type` names the program; the rest is the plugin's own. */
export interface PluginConfig extends JsonObject {
  readonly type: string;
}

/** A network configuration list (SPEC.md, section 1). */
export interface NetworkConfigList {
  readonly name: string;
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  /** Whether what stands in `plugins` is all; else files of a directory with the network's name are of it, too (libcni 1.3). */
  readonly loadOnlyInlinedPlugins: boolean;
  readonly plugins: readonly PluginConfig[];
}

/** An attachment that GC must keep. */
export interface CniAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/**
 * Reads a `.conflist`, or a `.conf` of one plugin. `othersOf` gives the plugins that files of the network's name add to those of a
 * list which has not `loadOnlyInlinedPlugins`. @throws {E_INVALID, E_UNSUPPORTED}
 */
export function parseNetworkConfigList(
  text: string,
  othersOf: (name: string) => readonly JsonObject[] = () => [],
): NetworkConfigList {
  const document = parseJsonObject(text, 'network configuration');
  const name = field.string(document, 'name') ?? '';
  if (!isNetworkName(name)) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `network name ${JSON.stringify(name)}: must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  }
  const isComplete = readFlag(document, 'loadOnlyInlinedPlugins') || document['type'] !== undefined;
  const others = isComplete ? [] : othersOf(name);
  // A single plugin has a type; a list may leave its plugins to files.
  const isSingle = document['plugins'] === undefined && document['type'] !== undefined;
  const plugins = [...(isSingle ? [document] : field.objects(document, 'plugins')), ...others];
  if (plugins.length === 0) throw cniError(cniErrorCode.invalidNetworkConfig, `network ${name}: no plugins`);
  return {
    name,
    cniVersion: negotiateVersion(document, name),
    disableCheck: readFlag(document, 'disableCheck'),
    disableGc: readFlag(document, 'disableGC'),
    loadOnlyInlinedPlugins: readFlag(document, 'loadOnlyInlinedPlugins'),
    plugins: plugins.map((plugin, i) => toPluginConfig(plugin, `network ${name}: plugins[${i}]`)),
  };
}

/** What a plugin reads on standard input (SPEC.md, section 3, deriving execution configuration). */
export function renderPluginInput(
  list: Pick<NetworkConfigList, 'name' | 'cniVersion'>,
  plugin: PluginConfig,
  extra: {
    readonly prevResult?: CniResult | undefined;
    /** Values by capability; a plugin gets those that it declares. */
    readonly capabilityArgs?: JsonObject | undefined;
    readonly validAttachments?: readonly CniAttachment[] | undefined;
  } = {},
): PluginConfig {
  const { capabilities, ...own } = plugin;
  const runtimeConfig = selectCapabilities(capabilities, extra.capabilityArgs ?? {});
  return {
    ...own,
    type: plugin.type,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(extra.prevResult === undefined
      ? {}
      : { prevResult: renderResult(extra.prevResult, list.cniVersion) }),
    ...(extra.validAttachments === undefined
      ? {}
      : {
          'cni.dev/valid-attachments': extra.validAttachments,
          'cni.dev/attachments': extra.validAttachments,
        }),
  };
}

/** A network name that is also a safe file name. */
export function isNetworkName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name);
}

function selectCapabilities(declared: unknown, args: JsonObject): JsonObject {
  if (declared === undefined) return {};
  const wanted = asObject(declared, 'capabilities');
  return Object.fromEntries(Object.entries(args).filter(([name]) => wanted[name] === true));
}

function toPluginConfig(plugin: JsonObject, what: string): PluginConfig {
  const type = field.string(plugin, 'type') ?? '';
  // The type becomes a file name in the plugin directories.
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(type)) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `${what}: type ${JSON.stringify(type)} is not the name of a plugin`,
    );
  }
  return { ...plugin, type };
}

function negotiateVersion(document: JsonObject, name: string): CniVersion {
  const version = field.string(document, 'cniVersion') || unsaidCniVersion;
  const offered = [...field.strings(document, 'cniVersions'), version];
  const best = highestCommonVersion(offered);
  if (best !== undefined && (offered.length > 1 || isCniVersion(version))) return best;
  throw cniError(cniErrorCode.incompatibleVersion, `network ${name}: cniVersion ${version} is not supported`);
}

/** The specification allows the text "true" for these two. */
function readFlag(document: JsonObject, name: string): boolean {
  return document[name] === true || document[name] === 'true';
}
