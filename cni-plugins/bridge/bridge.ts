import { timeoutSignal } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniCommand } from '#api/cni/invocation.ts';
import { emptyResult, parseResult, type CniResult } from '#api/cni/result.ts';
import { ownNetns, type NetworkState } from '#native/netlink/netlink.ts';
import {
  type CniPlugin,
  type NetworkCall,
  type PluginCall,
  type PluginHost,
} from '#cni-plugins/skel/plugin.ts';
import { commitInTable, removeFromTable } from '#cni-plugins/skel/shared-table.ts';
import { parseBridgeConfig, type BridgeConfig } from './bridge-config.ts';
import { planMasquerade } from './masquerade.ts';
import { hostVethName, planBridgeAdd, planBridgeDel } from './plan.ts';

/** Joins containers to a bridge of the host, and makes the host their gateway where asked to. */
export const bridge: CniPlugin = {
  name: 'bridge',
  async add(call, host, signal) {
    const config = parseBridgeConfig(call.config, call.args);
    await using undo = new AsyncDisposableStack();

    if (config.ipam !== undefined)
      undo.defer(() =>
        delegate('DEL', { plugin: config.ipam, call }, host, undoSignal()).then(() => undefined),
      );
    const ipam = config.ipam === undefined ? emptyResult : await addressesFor(config, call, host, signal);
    const plan = planBridgeAdd(config, call, ipam);
    undo.defer(() => host.netlink.apply(ownNetns, planBridgeDel(call)));
    await host.netlink.applyAll([
      { netns: ownNetns, ops: plan.host },
      { netns: { kind: 'path', path: call.netns }, ops: plan.container },
    ]);
    if (config.ipMasq) {
      for (const { table, add } of planMasquerade(config.network, config.bridge, ipam.ips)) {
        await commitInTable(host.nft, table, [add]);
      }
    }
    undo.move();
    return plan.result;
  },

  async del(call, host, signal) {
    const config = parseBridgeConfig(call.config, call.args);
    // The address first: should the rest fail and be repeated, host-local's DEL succeeds again.
    if (config.ipam !== undefined) await delegate('DEL', { plugin: config.ipam, call }, host, signal);
    if (config.ipMasq) {
      const plans = planMasquerade(config.network, config.bridge, call.prevResult?.ips ?? []);
      await removeFromTable(
        host.nft,
        plans.map((plan) => plan.remove),
      );
    }
    if (call.netns !== '' && host.isNetnsRemovedByCaller) return;
    await host.netlink.apply(ownNetns, planBridgeDel(call));
    if (call.netns !== '') await removeContainerLink(call, host);
  },

  async check(call, host, signal) {
    const config = parseBridgeConfig(call.config, call.args);
    if (call.prevResult === undefined)
      throw cniError(cniErrorCode.invalidNetworkConfig, 'bridge CHECK: prevResult is missing');
    if (config.ipam !== undefined) await delegate('CHECK', { plugin: config.ipam, call }, host, signal);
    const container = await host.netlink.state({ kind: 'path', path: call.netns });
    const differences = [
      ...compareContainer(call, call.prevResult, container),
      ...compareHost(config, call, await host.netlink.state(ownNetns)),
    ];
    if (differences.length > 0)
      throw cniError(cniErrorCode.unknownContainer, `bridge CHECK: ${differences.join('; ')}`);
  },

  async gc(call, valid, host, signal) {
    const config = parseBridgeConfig(call.config);
    if (config.ipam !== undefined)
      await delegate('GC', { plugin: config.ipam, call: toNetwork(call) }, host, signal);
    const kept = new Set(
      valid.map((item) => hostVethName({ containerId: item.containerID, ifname: item.ifname })),
    );
    const { links } = await host.netlink.state(ownNetns);
    const index = links.find((link) => link.name === config.bridge)?.index;
    const stale = links.filter(
      (link) =>
        index !== undefined &&
        link.master === index &&
        /^veth[0-9a-f]{10}$/.test(link.name) &&
        !kept.has(link.name),
    );
    await host.netlink.apply(
      ownNetns,
      stale.map(({ name }) => ({ op: 'removeLink', name })),
    );
  },

  async status(call, host, signal) {
    const config = parseBridgeConfig(call.config);
    if (config.ipam !== undefined)
      await delegate('STATUS', { plugin: config.ipam, call: toNetwork(call) }, host, signal);
  },
};

/** Undoing goes on when the caller has given up, but not for ever. */
function undoSignal(): AbortSignal {
  return timeoutSignal(10_000);
}

async function addressesFor(
  config: BridgeConfig,
  call: PluginCall,
  host: PluginHost,
  signal: AbortSignal,
): Promise<CniResult> {
  const result = parseResult((await delegate('ADD', { plugin: config.ipam, call }, host, signal)) ?? {});
  if (result.ips.length > 0) return result;
  throw cniError(cniErrorCode.invalidNetworkConfig, `bridge: IPAM plugin ${config.ipam} gave no address`);
}

type Attachment = Pick<PluginCall, 'containerId' | 'netns' | 'ifname' | 'args' | 'path' | 'config'>;

function toNetwork(call: NetworkCall): Attachment {
  return { ...call, containerId: '', netns: '', ifname: '', args: {} };
}

/** What is passed on to the IPAM plugin. */
interface Delegated {
  readonly plugin: string | undefined;
  readonly call: Attachment;
}

async function delegate(
  command: CniCommand,
  { plugin, call }: Delegated,
  host: PluginHost,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<PluginHost['invoke']>>> {
  const { containerId, netns, ifname, args, path, config } = call;
  return host.invoke(plugin ?? '', { command, containerId, netns, ifname, args, path, config }, signal);
}

async function removeContainerLink(call: PluginCall, host: PluginHost): Promise<void> {
  try {
    await host.netlink.apply({ kind: 'path', path: call.netns }, [{ op: 'removeLink', name: call.ifname }]);
  } catch (error) {
    if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error; // The namespace is gone, and the link with it.
  }
}

function compareContainer(call: PluginCall, wanted: CniResult, state: NetworkState): readonly string[] {
  const link = state.links.find((item) => item.name === call.ifname);
  if (link === undefined) return [`${call.ifname} is missing`];
  const own = wanted.interfaces.findIndex((item) => item.name === call.ifname && item.sandbox !== undefined);
  const addresses = new Set(
    state.addresses.filter((item) => item.linkIndex === link.index).map((item) => item.address),
  );
  const ips = wanted.ips.filter((ip) => ip.interface === own || ip.interface === undefined);
  const destinations = new Set(state.routes.map((route) => route.destination));
  return [
    ...(link.isUp ? [] : [`${call.ifname} is down`]),
    ...ips.filter((ip) => !addresses.has(ip.address)).map((ip) => `${ip.address} is missing`),
    ...wanted.routes
      .map((route) => (route.dst === '0.0.0.0/0' || route.dst === '::/0' ? 'default' : route.dst))
      .filter((destination) => !destinations.has(destination))
      .map((destination) => `route to ${destination} is missing`),
  ];
}

function compareHost(config: BridgeConfig, call: PluginCall, state: NetworkState): readonly string[] {
  const master = state.links.find((link) => link.name === config.bridge);
  const port = state.links.find((link) => link.name === hostVethName(call));
  if (master === undefined) return [`bridge ${config.bridge} is missing`];
  if (port === undefined) return [`${hostVethName(call)} is missing`];
  return port.master === master.index ? [] : [`${port.name} is not a port of ${config.bridge}`];
}
