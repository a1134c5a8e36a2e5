/** The node's Service proxy, wired: what KubeProxyConfiguration says, its rules, and its ports of health and metrics. */
import { networkInterfaces } from 'node:os';
import type { JsonObject } from '#api/meta/object.ts';
import type { ProxySettings } from '#agent/proxy/config/proxy-configuration.ts';
import { startProxy, type ProxyOptions } from '#agent/proxy/proxy.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { ProxyCounts } from '#agent/proxy/status/proxy-counts.ts';
import { serveProxyStatus } from '#agent/proxy/status/serve-proxy-status.ts';
import { familyOfIp } from '#base/ip.ts';
import type { ApiClient } from '#client/client.ts';
import type { RequestsAsked } from '#client/requests/requests-asked.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { ownNetns, type Netlink, type NetOp } from '#native/netlink/netlink.ts';

export interface NodeProxyParts extends ProxyOptions {
  readonly mode: ProxyMode;
  readonly settings: ProxySettings;
  readonly configuration: JsonObject;
  readonly netlink: Pick<Netlink, 'apply'>;
  /** As who may write Events. */
  readonly client: ApiClient;
  /** What it asks of the API server. */
  readonly asked: RequestsAsked;
}

/** Ends with the stack. */
export async function startNodeProxy(stack: AsyncDisposableStack, parts: NodeProxyParts): Promise<void> {
  const { settings, configuration, netlink, mode, clock, log, sockets, client, asked, ...others } = parts;
  const { health, metrics, hasLocalhostNodePorts, masqueradesAll, nodePortAddresses } = settings;
  if (masqueradesAll && sockets !== undefined)
    log.warn({}, 'sockets are not led to Services: masqueradeAll wants the address of the node');
  const counts = new ProxyCounts(
    parts.networks.map(({ family }) => family),
    clock.now(),
  );
  const events = stack.use(
    createEventRecorder({ client, component: 'kube-proxy', host: parts.nodeName, clock, logger: log }),
  );
  const sysctls = Object.entries(settings.sysctls).map(([key, value]): NetOp => ({
    op: 'setSysctl',
    key: `net/netfilter/${key}`,
    value,
  }));
  stack.use(
    await startProxy({
      ...others,
      ...{ netlink, mode, clock, log, counts, events, hasLocalhostNodePorts, masqueradesAll },
      nodePortCidrs: nodePortCidrsOf(nodePortAddresses, parts.nodeIps),
      nodeAddresses: ownAddresses,
      ...(sockets === undefined || masqueradesAll ? {} : { sockets }),
      ...(health === undefined ? {} : { health }),
    }),
  );
  // Connection tracking, whose these are, is there by its rules.
  if (sysctls.length > 0) await netlink.apply(ownNetns, sysctls);
  if (metrics !== undefined)
    stack.use(serveProxyStatus({ at: metrics, mode, configuration, counts, asked, clock, log }));
}

/** Those of a link alone are left out: nobody asks them without its name. */
const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((all = []) =>
    all.flatMap((each) => (each.scopeid === undefined || each.scopeid === 0 ? each.address : [])),
  );

/** `primary` are the addresses that the node has in the API. Pure. */
export function nodePortCidrsOf(addresses: readonly string[], nodeIps: readonly string[]): readonly string[] {
  if (addresses[0] !== 'primary') return addresses;
  return nodeIps.map((ip) => `${ip}/${familyOfIp(ip) === 6 ? 128 : 32}`);
}
