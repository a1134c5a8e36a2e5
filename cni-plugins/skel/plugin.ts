import type { CniInvoker } from '#api/cni/invocation.ts';
import type { CniAttachment, PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';

/** One call, checked: what ADD, DEL and CHECK are about. */
export interface PluginCall {
  readonly containerId: string;
  /** '' if the namespace is gone (DEL only). */
  readonly netns: string;
  readonly ifname: string;
  readonly args: Readonly<Record<string, string>>;
  readonly path: readonly string[];
  readonly config: PluginConfig;
  readonly prevResult: CniResult | undefined;
}

/** GC and STATUS are about the network, not about an attachment. */
export interface NetworkCall {
  readonly path: readonly string[];
  readonly config: PluginConfig;
}

/** What a plugin acts through. */
export interface PluginHost {
  readonly netlink: Netlink;
  readonly nft: Nft;
  /** Calls another plugin, such as the IPAM one. */
  readonly invoke: CniInvoker;
  /**
   * Whether the caller removes the network namespace after DEL, so that DEL need not wait for the interface to go:
   * RTM_DELLINK of a veth blocks for about 20 ms, the end of its namespace removes it in the background.
   */
  readonly isNetnsRemovedByCaller: boolean;
}

/** A plugin: each method is a pure plan and its application. Errors are PodwrightErrors (`api/cni/cni-error.ts`). */
export interface CniPlugin {
  readonly name: string;
  add(call: PluginCall, host: PluginHost, signal: AbortSignal): Promise<CniResult>;
  /** Succeeds if there is nothing left. */
  del(call: PluginCall, host: PluginHost, signal: AbortSignal): Promise<void>;
  /** @throws if the kernel's state differs from prevResult */
  check(call: PluginCall, host: PluginHost, signal: AbortSignal): Promise<void>;
  gc(
    call: NetworkCall,
    valid: readonly CniAttachment[],
    host: PluginHost,
    signal: AbortSignal,
  ): Promise<void>;
  /** @throws code 50 or 51 if ADD would fail */
  status(call: NetworkCall, host: PluginHost, signal: AbortSignal): Promise<void>;
}

/** The key of an attachment in sets and maps. */
export function attachmentKey(containerId: string, ifname: string): string {
  return `${containerId}/${ifname}`;
}
