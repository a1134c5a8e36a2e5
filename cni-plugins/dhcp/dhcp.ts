import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { CniPlugin, NetworkCall, PluginCall } from '#cni-plugins/skel/plugin.ts';
import type { Attachment, DhcpDaemon } from './daemon.ts';
import { takenOf } from './holding.ts';
import { connectToDaemon } from './daemon-socket.ts';
import { daemonSocketOf, defaultDaemonSocket, parseDhcpConfig } from './dhcp-config.ts';

/**
 * Addresses of the DHCP servers that a container's link reaches. A daemon keeps them: `own`, or without it the one that listens where the
 * configuration says, or at `/run/podwright-cni/dhcp.sock`.
 */
export function createDhcp(own?: DhcpDaemon): CniPlugin {
  const daemonOf = (call: NetworkCall): DhcpDaemon => {
    const path = daemonSocketOf(call);
    return path === undefined && own !== undefined ? own : connectToDaemon(path ?? defaultDaemonSocket);
  };
  return {
    name: 'dhcp',
    async add(call, _host, signal) {
      const request = parseDhcpConfig(call);
      const lease = await daemonOf(call).acquire(request, signal);
      const { address, dns } = lease;
      const { gateway, routes } = takenOf(lease, request);
      return {
        interfaces: [],
        ips: [{ address, ...(gateway === undefined ? {} : { gateway }) }],
        routes,
        dns,
      };
    },
    async del(call, _host, signal) {
      try {
        await daemonOf(call).release(attachmentOf(call), signal);
      } catch (error) {
        // One that starts later finds that the container is gone.
        if (!isPodwrightError(error) || error.detail['isMissing'] !== true) throw error;
      }
    },
    async check(call, _host, signal) {
      const lease = await daemonOf(call).leaseOf(attachmentOf(call), signal);
      const { containerId, ifname } = call;
      if (lease === undefined)
        throw cniError(cniErrorCode.unknownContainer, `dhcp CHECK: ${containerId} ${ifname} has no lease`);
      if (call.prevResult?.ips.some(({ address }) => address === lease.address) !== true)
        throw cniError(cniErrorCode.unknownContainer, `dhcp CHECK: prevResult has no ${lease.address}`);
    },
    async gc(call, valid, _host, signal) {
      await daemonOf(call).retain(networkOf(call), valid, signal);
    },
    async status(call, _host, signal) {
      try {
        await daemonOf(call).ping(signal);
      } catch (cause) {
        const message = `dhcp: its daemon does not answer: ${describeError(cause)}`;
        throw cniError(cniErrorCode.pluginNotAvailable, message, { cause });
      }
    },
  };
}

const networkOf = ({ config }: NetworkCall): string => field.string(config, 'name') ?? '';

function attachmentOf(call: PluginCall): Attachment {
  return { network: networkOf(call), containerId: call.containerId, ifname: call.ifname };
}
