/** The frame of plugins that come after one which made the interface: a plan of what there is, applied, compared, undone. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurablySync } from '#base/durable-file.ts';
import { isPodwrightError } from '#base/errors.ts';
import { parseJsonObject } from '#api/cni/json-field.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import { ownNetns, type NetChange, type NetworkState, type RoutingPolicy } from '#native/netlink/netlink.ts';
import type { LinkRequest } from './link-plan.ts';
import type { CniPlugin, PluginCall, PluginHost } from './plugin.ts';

export interface ChainedInput<C> {
  readonly config: C;
  readonly request: LinkRequest;
  readonly previous: CniResult;
  readonly host: NetworkState;
  readonly container: NetworkState;
  readonly policy: RoutingPolicy;
}

export interface ChainedPlugin<C> {
  readonly name: string;
  parse(config: PluginConfig, args?: Readonly<Record<string, string>>): C;
  plan(input: ChainedInput<C>): {
    readonly changes: readonly NetChange[];
    /** Where it differs from the previous. */
    readonly result?: CniResult;
  };
  /** Of what is there yet; without a namespace the container is empty. */
  planDel(input: ChainedInput<C>, kept: JsonObject | undefined): readonly NetChange[];
  /** How things were, for DEL: taken before the changes of ADD, and kept in a directory of one file for each attachment. */
  readonly keeps?: {
    directory(config: C): string;
    take(input: ChainedInput<C>): JsonObject | undefined;
  };
  compare(input: ChainedInput<C>): readonly string[];
  /** Whether the configuration asks for nothing of this container: then the kernel is not looked at. */
  isIdle?(config: C): boolean;
}

const nothing: NetworkState = { links: [], addresses: [], routes: [] };

export function createChainedPlugin<C>(chained: ChainedPlugin<C>): CniPlugin {
  return {
    name: chained.name,
    async add(call, host) {
      const config = chained.parse(call.config, call.args);
      if (call.prevResult === undefined) {
        throw cniError(
          cniErrorCode.invalidNetworkConfig,
          `${chained.name}: prevResult is missing; it comes after a plugin that makes an interface`,
        );
      }
      if (chained.isIdle?.(config) === true) return call.prevResult;
      const found = await look(config, call, call.prevResult, host);
      const plan = chained.plan(found);
      const kept = chained.keeps?.take(found);
      if (chained.keeps !== undefined && kept !== undefined)
        keep(chained.keeps.directory(config), call, kept);
      await using undo = new AsyncDisposableStack();

      undo.defer(() => undoAll(chained, config, call, host));
      await host.netlink.applyAll(plan.changes);
      undo.move();
      return plan.result ?? call.prevResult;
    },
    async del(call, host) {
      const config = chained.parse(call.config, call.args);
      if (chained.isIdle?.(config) !== true) await undoAll(chained, config, call, host);
    },
    async check(call, host) {
      const config = chained.parse(call.config, call.args);
      if (call.prevResult === undefined)
        throw cniError(cniErrorCode.invalidNetworkConfig, `${chained.name} CHECK: prevResult is missing`);
      if (chained.isIdle?.(config) === true) return;
      const differences = chained.compare(await look(config, call, call.prevResult, host));
      if (differences.length > 0)
        throw cniError(cniErrorCode.unknownContainer, `${chained.name} CHECK: ${differences.join('; ')}`);
    },
    async gc() {
      // What it changed goes with the interface, or with DEL.
    },
    async status() {
      // Needs nothing but the kernel.
    },
  };
}

async function look<C>(
  config: C,
  call: PluginCall,
  previous: CniResult,
  { netlink }: PluginHost,
): Promise<ChainedInput<C>> {
  const netns = { kind: 'path', path: call.netns } as const;
  const [host, container, policy] = await Promise.all([
    netlink.state(ownNetns),
    netlink.state(netns),
    netlink.policy(netns),
  ]);
  return { config, request: call, previous, host, container, policy };
}

/** What is gone with its namespace is undone. */
async function undoAll<C>(
  chained: ChainedPlugin<C>,
  config: C,
  call: PluginCall,
  host: PluginHost,
): Promise<void> {
  const previous = call.prevResult ?? { interfaces: [], ips: [], routes: [], dns: {} };
  const empty = {
    config,
    request: call,
    previous,
    host: nothing,
    container: nothing,
    policy: { rules: [], routes: [] },
  };
  const found = call.netns === '' ? empty : await orElse(() => look(config, call, previous, host), empty);
  const directory = chained.keeps?.directory(config);
  const kept = directory === undefined ? undefined : readKept(directory, call);
  for (const change of chained.planDel(found, kept))
    await orElse(() => host.netlink.applyAll([change]), undefined);
  if (directory !== undefined) rmSync(keptPath(directory, call), { force: true });
}

/** Names as upstream's plugins have them: those of either take down what the other made. */
const keptPath = (directory: string, { containerId, ifname }: LinkRequest): string =>
  join(directory, `${containerId}_${ifname}.json`);

/** What a first ADD found is how things were, whatever a second one finds. */
function keep(directory: string, request: LinkRequest, kept: JsonObject): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = keptPath(directory, request);
  if (readKept(directory, request) === undefined)
    writeDurablySync(path, JSON.stringify(kept), { mode: 0o600 });
}

/** Undefined where there is none, or none that can be read: DEL goes on without. */
function readKept(directory: string, request: LinkRequest): JsonObject | undefined {
  const path = keptPath(directory, request);
  try {
    return existsSync(path) ? parseJsonObject(readFileSync(path, 'utf8'), path) : undefined;
  } catch (error) {
    if (isPodwrightError(error)) return undefined;
    throw error;
  }
}

async function orElse<T>(work: () => Promise<T>, gone: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isPodwrightError(error, 'E_NOT_FOUND')) return gone;
    throw error;
  }
}
