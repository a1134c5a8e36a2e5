/** Programs that serve a node by sockets of their own: drivers of volumes, of devices, of resources. */

/** A plugin that has said what it is. */
export interface Plugin {
  /** `CSIPlugin`, `DevicePlugin`, `DRAPlugin`, …: which handler it is for. */
  readonly type: string;
  readonly name: string;
  /** Absolute path of the socket where it serves. */
  readonly endpoint: string;
  /** As it lists them. */
  readonly versions: readonly string[];
  /** Absolute path of the socket by which it registered, and which one there it was: one that restarts is another. */
  readonly socket: string;
  readonly identity: string;
}

/**
 * What becomes of plugins of a type. Calls for one socket come one after the other; for sockets with the same name they may come together,
 * so that `deregister` must look whether it is this plugin (`socket`, `identity`) that is held, and not another of its name.
 */
export interface PluginHandler {
  /** Whether it may register. @throws why not, in words for the plugin */
  validate(plugin: Plugin): void;
  /** @throws why it cannot be used now: the plugin is told, and is asked again later */
  register(plugin: Plugin, signal: AbortSignal): Promise<void>;
  /** Its socket has gone, or is another's now. Also after a `register` that failed. @throws to be asked again later */
  deregister(plugin: Plugin): Promise<void> | void;
}

/** By type. */
export type PluginHandlers = Readonly<Record<string, PluginHandler>>;

/** The first of what we know, best first, that a plugin lists; undefined: none. */
export function chooseVersion(known: readonly string[], listed: readonly string[]): string | undefined {
  return known.find((version) => listed.includes(version));
}
