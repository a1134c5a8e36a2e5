/**
 * The frame of main plugins: addresses are asked for, a plan is made of configuration, addresses and what the host has, and applied in
 * one request; CHECK compares with the same; DEL gives the address back first and removes by name, with no state. What differs is data
 * and pure functions.
 */
import { settleAddresses } from './settle.ts';
import { timeoutSignal } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniAttachment, PluginConfig } from '#api/cni/network-config.ts';
import { emptyResult, type CniInterface, type CniIp, type CniResult } from '#api/cni/result.ts';
import {
  ownNetns,
  type LinkInfo,
  type NetChange,
  type NetnsRef,
  type NetOp,
  type NetworkState,
  type RoutingPolicy,
} from '#native/netlink/netlink.ts';
import { ipamOf } from './ipam.ts';
import { compareContainer, compareKind } from './link-check.ts';
import type { LinkConfig } from './link-config.ts';
import type { LinkRequest } from './link-plan.ts';
import type { Masquerade } from './masquerade.ts';
import type { CniPlugin, PluginCall, PluginHost } from './plugin.ts';
import { commitInTable, removeFromTable } from './shared-table.ts';

export interface LinkPlan {
  /** Applied in order; what fails in between is undone by `planDel`. */
  readonly changes: readonly NetChange[];
  /** Hardware address and MTU of the container's interface are the kernel's where it says none. */
  readonly result: CniResult;
}

export interface PlanInput<C> {
  readonly config: C;
  readonly request: LinkRequest;
  readonly ipam: CniResult;
  /** Of the host's namespace; empty for a plugin that does not look. */
  readonly host: NetworkState;
  /** Of the same; empty without `looksAtPolicy`. */
  readonly policy: RoutingPolicy;
}

export type RestoreInput<C> = Pick<PlanInput<C>, 'config' | 'host' | 'policy'>;

export interface LinkPlugin<C extends LinkConfig> {
  readonly name: string;
  /** Of the container's link, which CHECK looks for; absent: `compareLink` does, or it may be of any. */
  readonly kind?: string;
  parse(config: PluginConfig, args?: Readonly<Record<string, string>>): C;
  /**
   * Whether its link reaches whoever gives addresses: then IPAM plugins that ask by the link (`asksByLink`) are called once it is there,
   * and `plan` is made twice, the first time without an address.
   */
  readonly reachesServers?: boolean;
  /** Without an IPAM plugin of its own it has the addresses that a plugin before it gave. */
  readonly takesPrevious?: boolean;
  /** What ADD needs to know: a dump of the host's links costs more than the rest where there are thousands. */
  readonly looks?: boolean | ((config: C) => boolean);
  /** Whether it also needs to know how the host routes besides by its main table. */
  readonly looksAtPolicy?: boolean;
  /** Where it looks, if not at the host. */
  looksAt?(config: C, request: LinkRequest): NetnsRef;
  plan(input: PlanInput<C>): LinkPlan;
  /** By names alone; `found` is what is there yet and what ADD had said of it, where `returnsLink`. */
  planDel(
    config: C,
    request: LinkRequest,
    found?: { readonly container: NetworkState; readonly previous: CniResult | undefined },
  ): { readonly host: readonly NetOp[]; readonly container: readonly NetOp[] };
  /** The link is the host's own and goes back to it: it would not end with its namespace. */
  readonly returnsLink?: boolean;
  /** On the host, once the link of an ADD that failed is back there. */
  planRestore?(input: RestoreInput<C>): readonly NetOp[];
  masquerades?(config: C, request: LinkRequest, ips: readonly CniIp[]): readonly Masquerade[];
  /** Differences of the host's side. */
  compareHost?(config: C, request: LinkRequest, host: NetworkState): readonly string[];
  /** Differences of the link itself; `near` is where the link is that it is part of. */
  compareLink?(config: C, link: LinkInfo, near: NetworkState): readonly string[];
  /** Whether ADD waits until the kernel knows that nobody else has the addresses of IPv6. */
  settles?(config: C): boolean;
  /** Whether the container gets a link at all. */
  hasLink?(config: C): boolean;
  /** Whether it is the container's own to bring the link up. */
  isLeftDown?(config: C): boolean;
  /** What nobody of the list has. */
  planGc?(config: C, valid: readonly CniAttachment[], host: NetworkState): readonly NetOp[];
}

/** IPAM plugins that speak with a server by the container's own link. */
const asksByLink: ReadonlySet<string | undefined> = new Set(['dhcp']);

const empty: NetworkState = { links: [], addresses: [], routes: [] };
const noPolicy: RoutingPolicy = { rules: [], routes: [] };

export function createLinkPlugin<C extends LinkConfig>(link: LinkPlugin<C>): CniPlugin {
  return {
    name: link.name,
    add: (call, host, signal) => addLink(link, call, host, signal),

    async del(call, host, signal) {
      const config = link.parse(call.config, call.args);
      // The address first: should the rest fail and be repeated, IPAM's DEL succeeds again.
      await ipamOf(config.ipam).tell('DEL', call, host, signal);
      const made = link.masquerades?.(config, call, call.prevResult?.ips ?? []) ?? [];
      await removeFromTable(
        host.nft,
        made.map(({ remove }) => remove),
      );
      if (link.returnsLink !== true && call.netns !== '' && host.isNetnsRemovedByCaller) return;
      await removeLinks(link, config, call, host);
    },

    async check(call, host, signal) {
      const config = link.parse(call.config, call.args);
      if (call.prevResult === undefined)
        throw cniError(cniErrorCode.invalidNetworkConfig, `${link.name} CHECK: prevResult is missing`);
      await ipamOf(config.ipam).tell('CHECK', call, host, signal);
      if (link.hasLink?.(config) === false) return;
      const container = await host.netlink.state({ kind: 'path', path: call.netns });
      const compareHost = async (): Promise<readonly string[]> =>
        link.compareHost?.(config, call, await host.netlink.state(ownNetns)) ?? [];
      const made = container.links.find(({ name }) => name === call.ifname);
      const compareLink = async (): Promise<readonly string[]> => {
        if (link.compareLink === undefined || made === undefined) return [];
        const near = link.looksAt?.(config, call) ?? ownNetns;
        return link.compareLink(config, made, await host.netlink.state(near));
      };
      const differences = [
        ...compareContainer(call.ifname, call.prevResult, container).filter(
          (difference) => link.isLeftDown?.(config) !== true || difference !== `${call.ifname} is down`,
        ),
        ...(made === undefined ? [] : compareKind(made, link.kind)),
        ...(await compareLink()),
        ...(link.compareHost === undefined ? [] : await compareHost()),
      ];
      if (differences.length > 0)
        throw cniError(cniErrorCode.unknownContainer, `${link.name} CHECK: ${differences.join('; ')}`);
    },

    async gc(call, valid, host, signal) {
      const config = link.parse(call.config);
      await ipamOf(config.ipam).ask('GC', call, host, signal);
      if (link.planGc === undefined) return;
      await host.netlink.apply(ownNetns, link.planGc(config, valid, await host.netlink.state(ownNetns)));
    },

    async status(call, host, signal) {
      await ipamOf(link.parse(call.config).ipam).ask('STATUS', call, host, signal);
    },
  };
}

async function addLink<C extends LinkConfig>(
  link: LinkPlugin<C>,
  call: PluginCall,
  host: PluginHost,
  signal: AbortSignal,
): Promise<CniResult> {
  const config = link.parse(call.config, call.args);
  const ipam = ipamOf(config.ipam);
  await using undo = new AsyncDisposableStack();

  undo.defer(() => ipam.tell('DEL', call, host, undoSignal()));
  const chained = link.takesPrevious === true && config.ipam === undefined ? call.prevResult : undefined;
  const ask = async (): Promise<CniResult> => chained ?? ipam.add(call, host, signal);
  const looks = typeof link.looks === 'function' ? link.looks(config) : link.looks === true;
  const where = link.looksAt?.(config, call) ?? ownNetns;
  const state = looks ? await host.netlink.state(where) : empty;
  const policy = link.looksAtPolicy === true ? await host.netlink.policy(where) : noPolicy;
  const adding = { config, call, host, state, policy, undo };
  const { given, planned } = asksByLink.has(config.ipam)
    ? await addressLink(link, adding, ask)
    : await makeLink(link, adding, await ask());
  const made = link.masquerades?.(config, call, given.ips) ?? [];
  undo.defer(() =>
    removeFromTable(
      host.nft,
      made.map(({ remove }) => remove),
    ),
  );
  for (const { table, add } of made) await commitInTable(host.nft, table, [add]);
  if (link.settles?.(config) === true) await settleAddresses(link.name, call, host, signal);
  const result = await completed(planned, call, host);
  undo.move();
  return { ...result, dns: config.dns ?? given.dns };
}

interface Adding<C> {
  readonly config: C;
  readonly call: PluginCall;
  readonly host: PluginHost;
  /** Of the host before. */
  readonly state: NetworkState;
  readonly policy: RoutingPolicy;
  readonly undo: AsyncDisposableStack;
}

interface Added {
  /** What IPAM gave. */
  readonly given: CniResult;
  readonly planned: CniResult;
}

/** The link with its addresses. */
async function makeLink<C extends LinkConfig>(
  link: LinkPlugin<C>,
  { config, call, host, state, policy, undo }: Adding<C>,
  given: CniResult,
): Promise<Added> {
  const plan = link.plan({ config, request: call, ipam: given, host: state, policy });
  let isOurs = true;
  undo.defer(async () => {
    if (isOurs) await removeLinks(link, config, call, host);
    const restored = link.planRestore?.({ config, host: state, policy }) ?? [];
    if (restored.length > 0) await host.netlink.apply(ownNetns, restored);
  });
  await host.netlink.applyAll(plan.changes).catch((error: unknown) => {
    // The name is another's, in whose place nothing was made.
    isOurs = !isPodwrightError(error, 'E_EXISTS') && !isPodwrightError(error, 'E_BUSY');
    throw error;
  });
  return { given, planned: plan.result };
}

/** Ops that give a link that is there its addresses and routes. */
const addressing: ReadonlySet<NetOp['op']> = new Set([
  'ensureAddress',
  'ensureRoute',
  'ensureRule',
  'setSysctl',
]);

/** The link first: who gives addresses is asked by it. It keeps the hardware address that the server knows it by. */
async function addressLink<C extends LinkConfig>(
  link: LinkPlugin<C>,
  adding: Adding<C>,
  ask: () => Promise<CniResult>,
): Promise<Added> {
  const { config, call, host, state, policy } = adding;
  if (link.reachesServers !== true)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `${link.name}: ipam ${config.ipam} asks by the container's link, and at the other end of this one is only the host`,
    );
  const { planned: bare } = await makeLink(link, adding, emptyResult);
  const given = await ask();
  const plan = link.plan({ config, request: call, ipam: given, host: state, policy });
  await host.netlink.applyAll(
    plan.changes.map(({ netns, ops }) => ({ netns, ops: ops.filter(({ op }) => addressing.has(op)) })),
  );
  return { given, planned: { ...plan.result, interfaces: bare.interfaces } };
}

/** Undoing goes on when the caller has given up, but not for ever. */
function undoSignal(): AbortSignal {
  return timeoutSignal(10_000);
}

/** Both sides, whatever is gone of them; a namespace that is gone has taken its links along. */
async function removeLinks<C extends LinkConfig>(
  link: LinkPlugin<C>,
  config: C,
  call: PluginCall,
  { netlink }: PluginHost,
): Promise<void> {
  const netns = call.netns === '' ? undefined : ({ kind: 'path', path: call.netns } as const);
  try {
    const found =
      netns !== undefined && link.returnsLink === true
        ? { container: await netlink.state(netns), previous: call.prevResult }
        : undefined;
    const plan = link.planDel(config, call, found);
    if (plan.host.length > 0) await netlink.apply(ownNetns, plan.host);
    if (netns !== undefined && plan.container.length > 0) await netlink.apply(netns, plan.container);
  } catch (error) {
    if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
  }
}

/** The result with what the kernel chose. */
async function completed(result: CniResult, call: PluginCall, { netlink }: PluginHost): Promise<CniResult> {
  const isOpen = ({ mac }: CniInterface): boolean => mac === undefined;
  if (!result.interfaces.some(isOpen)) return result;
  const { links } = await netlink.state({ kind: 'path', path: call.netns });
  return {
    ...result,
    interfaces: result.interfaces.map((item) => {
      const link = isOpen(item) ? links.find(({ name }) => name === item.name) : undefined;
      return link === undefined ? item : { ...item, mac: link.mac, mtu: link.mtu };
    }),
  };
}
