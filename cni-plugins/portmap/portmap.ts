import { isPodwrightError } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniResult } from '#api/cni/result.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { kernelRuleCount } from '#native/nft/loads.ts';
import type { ConntrackMatch, NftOp } from '#native/nft/nft.ts';
import type { CniPlugin, PluginCall, PluginHost } from '#cni-plugins/skel/plugin.ts';
import { commitInTable, removeFromTable } from '#cni-plugins/skel/shared-table.ts';
import {
  loopbackTable,
  madePortMappings,
  madePortRule,
  ofInterface,
  ownedSetName,
  parsePortMappings,
  parsePortRule,
  planLoopback,
  planPortmap,
  type PortmapElements,
} from './plan.ts';
import { planFlowsAtAdd, planFlowsAtDel } from './stale-flows.ts';

/** Leads ports of the host to containers (a chained plugin: it needs the result of the one that gave the address). */
export const portmap: CniPlugin = {
  name: 'portmap',
  async add(call, host) {
    const previous = ofInterface(previousOf(call), call.ifname);
    const source = parsePortRule(call.config);
    const mappings = parsePortMappings(call.config);
    const plans = planPortmap(mappings, previous, source);
    if (source.snat && plans.some(({ table }) => table.family === 'ip')) await openLoopback(previous, host);
    // All or nothing: of one family alone, or without their sources, ports would lead to a container that is no more.
    await using undo = new AsyncDisposableStack();

    for (const plan of plans) {
      await commitAdd(plan, host);
      undo.defer(() => removeMappings(plan, host));
    }
    // After the rules: before, a packet in between would make the old flow again.
    if (mappings.some(({ protocol }) => protocol === 'udp')) {
      const { addresses } = await host.netlink.state(ownNetns);
      const own = addresses.map(({ address }) => address);
      await forgetFlows(planFlowsAtAdd(mappings, previous, own), host);
    }
    undo.move();
    return previousOf(call);
  },
  async del(call, host) {
    // Without the result of ADD there is no address, and nothing that could be told from what is another container's.
    if (call.prevResult === undefined) return;
    const previous = ofInterface(call.prevResult, call.ifname);
    // Nor anything where ADD refused: the container has no address.
    if (previous.ips.length === 0) return;
    const mappings = madePortMappings(call.config);
    const source = madePortRule(call.config);
    if (source === undefined) return;
    for (const plan of planPortmap(mappings, previous, source)) await removeMappings(plan, host);
    await forgetFlows(planFlowsAtDel(mappings, previous), host);
  },
  async check(call, host) {
    const previous = ofInterface(previousOf(call), call.ifname);
    const source = parsePortRule(call.config);
    for (const plan of planPortmap(parsePortMappings(call.config), previous, source)) {
      if (await hasMappings(plan, host)) continue;
      const name = `${plan.table.family} ${plan.table.name}`;
      throw cniError(
        cniErrorCode.unknownContainer,
        `portmap CHECK: ports of it are missing in table ${name}`,
      );
    }
  },
  async gc() {
    // Elements do not say whose they are; DEL with the cached result removes them, which the runtime's GC calls first.
  },
  async status() {
    // Needs nothing but the kernel's nf_tables, which ADD asks.
  },
};

/** A flow that stays goes astray until it is over: worse, but no reason to have no container, or to keep one for ever. */
async function forgetFlows(flows: readonly ConntrackMatch[], { nft }: PluginHost): Promise<void> {
  if (flows.length === 0) return;
  try {
    await nft.flushConntrack(ownNetns, flows);
  } catch (error) {
    if (!isPodwrightError(error)) throw error;
  }
}

function previousOf(call: PluginCall): CniResult {
  if (call.prevResult !== undefined) return call.prevResult;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    'portmap: must come after a plugin that gives an address',
  );
}

/** First the guard, then what it guards: whoever removed it or a part of it meanwhile finds it made anew. */
async function openLoopback(previous: CniResult, { nft, netlink }: PluginHost): Promise<void> {
  const ops = planLoopback(previous);
  if (ops.length === 0) return;
  const rules = loopbackTable.chains.flatMap((chain) => chain.rules);
  const wanted = rules.reduce((sum, rule) => sum + kernelRuleCount(rule), 0);
  if ((await nft.ruleCount(ownNetns, loopbackTable)) !== wanted)
    await nft.commit(ownNetns, [{ op: 'replaceTable', table: loopbackTable }]);
  await netlink.apply(ownNetns, ops);
}

/**
 * Whether the container's ADD put its elements in. Ports are removed by their number alone: those of an ADD that found them
 * taken are another container's.
 */
async function hasMappings({ table, sets, areOwn }: PortmapElements, host: PluginHost): Promise<boolean> {
  const own = sets.find(({ set }) => areOwn || set.name === ownedSetName);
  if (own === undefined) return false;
  try {
    await host.nft.commit(ownNetns, [
      { op: 'removeElements', table, ...own },
      { op: 'addElements', table, ...own },
    ]);
    return true;
  } catch (error) {
    if (isPodwrightError(error, 'E_NOT_FOUND')) return false;
    throw error;
  }
}

async function removeMappings(plan: PortmapElements, host: PluginHost): Promise<void> {
  if (!plan.areOwn && !(await hasMappings(plan, host))) return;
  const { table } = plan;
  const ops = plan.sets.flatMap(({ set, elements }) =>
    elements.map((element): NftOp => ({ op: 'removeElements', table, set, elements: [element] })),
  );
  await removeFromTable(host.nft, ops);
}

async function commitAdd(plan: PortmapElements, host: PluginHost): Promise<void> {
  const elements = plan.sets.map((item): NftOp => ({ op: 'addElements', table: plan.table, ...item }));
  try {
    await commitInTable(host.nft, plan.table, elements);
  } catch (cause) {
    if (!isPodwrightError(cause, 'E_EXISTS')) throw cause;
    throw cniError(cniErrorCode.invalidNetworkConfig, 'portmap: a host port is taken', { cause });
  }
}
