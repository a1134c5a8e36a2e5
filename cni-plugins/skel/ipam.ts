/** What a main plugin asks of the IPAM plugin that its configuration names (SPEC.md, section 4, plugin delegation). */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniCommand } from '#api/cni/invocation.ts';
import { emptyResult, parseResult, type CniResult } from '#api/cni/result.ts';
import type { NetworkCall, PluginCall, PluginHost } from './plugin.ts';

type Attachment = Pick<PluginCall, 'containerId' | 'netns' | 'ifname' | 'args' | 'path' | 'config'>;

export interface Ipam {
  /** @throws code 7 if it gave no address */
  add(call: PluginCall, host: PluginHost, signal: AbortSignal): Promise<CniResult>;
  tell(command: 'DEL' | 'CHECK', call: PluginCall, host: PluginHost, signal: AbortSignal): Promise<void>;
  ask(command: 'GC' | 'STATUS', call: NetworkCall, host: PluginHost, signal: AbortSignal): Promise<void>;
}

/** Of the plugin of that type; undefined: containers get a link and no address, and nobody is asked. */
export function ipamOf(type: string | undefined): Ipam {
  const call = async (
    command: CniCommand,
    attachment: Attachment,
    host: PluginHost,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<PluginHost['invoke']>>> => {
    if (type === undefined) return undefined;
    const { containerId, netns, ifname, args, path, config } = attachment;
    return host.invoke(type, { command, containerId, netns, ifname, args, path, config }, signal);
  };
  return {
    async add(attachment, host, signal) {
      if (type === undefined) return emptyResult;
      const result = parseResult((await call('ADD', attachment, host, signal)) ?? {});
      if (result.ips.length > 0) return result;
      throw cniError(
        cniErrorCode.invalidNetworkConfig,
        `${attachment.config.type}: IPAM plugin ${type} gave no address`,
      );
    },
    async tell(command, attachment, host, signal) {
      await call(command, attachment, host, signal);
    },
    async ask(command, network, host, signal) {
      await call(command, { ...network, containerId: '', netns: '', ifname: '', args: {} }, host, signal);
    },
  };
}
