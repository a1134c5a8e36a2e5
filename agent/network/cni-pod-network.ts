import { timeoutSignal } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { CniInvoker } from '#api/cni/invocation.ts';
import type { NetworkConfigList } from '#api/cni/network-config.ts';
import type { PodBandwidth } from '#api/pod/bandwidth.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { IpFamily } from '#base/ip.ts';
import { createCniNetwork, type Attachment, type CniNetwork } from './cni-network.ts';
import { loadConflist } from './conflist-dir.ts';
import { ipsOf, podIfname, podLinkOf } from './pod-link.ts';
import type { AddedPod, PodNetwork, PodNetworkRequest } from './pod-network.ts';
import { createResultCache, type CachedAttachment, type ResultCache } from './result-cache.ts';

export interface PodNetworkOptions {
  /** Calls plugins (bin makes it from the registry of ours and the programs on disk). */
  readonly invoke: CniInvoker;
  /** Directory of network configurations; read at each pod, so that a change needs no restart. */
  readonly conflistDir: string;
  /** Directories of plugin programs (CNI_PATH). */
  readonly binDirs: readonly string[];
  /** Where results are kept for DEL: `<cacheDir>/results`, libcni's layout (its default: /var/lib/cni). */
  readonly cacheDir: string;
  /** That of status.podIP, where a pod has addresses of both; default 4. */
  readonly firstFamily?: IpFamily;
}

const loopbackList: NetworkConfigList = {
  name: 'cni-loopback',
  cniVersion: '1.1.0',
  disableCheck: true,
  disableGc: true,
  loadOnlyInlinedPlugins: true,
  plugins: [{ type: 'loopback' }],
};

/** The pod network by CNI: loopback and the first network configuration of the node. */
export function createPodNetwork(options: PodNetworkOptions): PodNetwork {
  const cni = createCniNetwork(options.invoke, options.binDirs);
  const cache = createResultCache(options.cacheDir);
  return {
    async add(request, signal) {
      const list = requireConflist(options.conflistDir);
      // A repeated call finds the result of the first; one whose namespace is another is a new attachment under an old id.
      const cached = await cache.load(list.name, request.sandboxId, podIfname);
      if (cached?.netns === request.netnsPath) {
        if ((await damageOf(cni, cached, signal)) === undefined) return toAdded(cached, options.firstFamily);
        await cni.del(cached.list, cached, cached.result, signal);
      }
      const attachment = toAttachment(request);
      // Only DEL of portmap and bandwidth needs to know what ADD was told; whoever asks for neither is spared the write.
      const onResult = async (result: CniResult): Promise<void> =>
        Object.keys(attachment.capabilityArgs).length === 0
          ? undefined
          : cache.save({ ...attachment, list, result }, configTextOf(list));
      const result = await attachPod(cni, { list, attachment, onResult }, signal).catch(
        async (error: unknown) => {
          // What could not be taken down is still known to the next DEL.
          if (!isHalfDone(error)) await cache.remove(list.name, attachment.containerId, podIfname);
          throw error;
        },
      );
      await saveOrUndo({ cache, cni, list, attachment, result });
      return toAdded({ ...attachment, list, result }, options.firstFamily);
    },

    async del(request, signal) {
      const cached = await cache.list(request.sandboxId);
      for (const item of cached) {
        await cni.del(item.list, { ...item, netns: request.netnsPath }, item.result, signal);
        await cache.remove(item.list.name, item.containerId, item.ifname);
      }
      if (cached.length > 0) return;
      // Nothing known: an ADD that was cut short may still have left an address behind.
      const list = readableConflist(options.conflistDir);
      if (list !== undefined) await cni.del(list, toAttachment(request), undefined, signal);
    },

    async collect(validSandboxIds, signal) {
      const kept = new Set(validSandboxIds);
      for (const item of await cache.list()) {
        if (kept.has(item.containerId)) continue;
        await cni.del(item.list, { ...item, netns: '' }, item.result, signal);
        await cache.remove(item.list.name, item.containerId, item.ifname);
      }
      const list = readableConflist(options.conflistDir);
      if (list === undefined) return;
      const valid = validSandboxIds.map((containerID) => ({ containerID, ifname: podIfname }));
      await cni.gc(list, valid, signal);
    },

    check: async (sandboxIds, signal) => damageAmong(cni, { sandboxIds, all: await cache.list() }, signal),

    async status() {
      try {
        const list = requireConflist(options.conflistDir);
        await cni.status(list, timeoutSignal(statusTimeoutMs));
        return { isReady: true, reason: '' };
      } catch (error) {
        return { isReady: false, reason: describeError(error) };
      }
    },
  };
}

function toAdded(attachment: Parameters<typeof podLinkOf>[0], firstFamily: IpFamily | undefined): AddedPod {
  const [ips, link] = [ipsOf(attachment.result, firstFamily), podLinkOf(attachment)];
  return link === undefined ? { ips } : { ips, link };
}

/** ADD as pods get it: loopback beside the network. Loopback leaves nothing outside the pod's namespace; the network is taken down. */
export async function attachPod(
  cni: CniNetwork,
  what: {
    readonly list: NetworkConfigList;
    readonly attachment: Attachment;
    /** See CniNetwork.add: an ADD that is cut off here can be taken down with what was told last. */
    readonly onResult?: (result: CniResult) => Promise<void>;
  },
  signal: AbortSignal,
): Promise<CniResult> {
  const { list, attachment, onResult } = what;
  const loopback = cni.add(loopbackList, { ...attachment, ifname: 'lo' }, signal);
  const [lo, own] = await Promise.allSettled([loopback, cni.add(list, attachment, signal, onResult)]);
  if (own.status === 'rejected') throw own.reason;
  if (lo.status === 'fulfilled') return own.value;
  await cni.del(list, attachment, own.value, timeoutSignal(statusTimeoutMs));
  throw lo.reason;
}

async function damageAmong(
  cni: CniNetwork,
  { sandboxIds, all }: { readonly sandboxIds: readonly string[]; readonly all: readonly CachedAttachment[] },
  signal: AbortSignal,
): ReturnType<PodNetwork['check']> {
  const asked = new Set(sandboxIds);
  const damaged: { readonly sandboxId: string; readonly problem: string }[] = [];
  for (const item of all) {
    if (!asked.has(item.containerId)) continue;
    const problem = await damageOf(cni, item, signal);
    if (problem !== undefined) damaged.push({ sandboxId: item.containerId, problem });
  }
  return damaged;
}

/** What CHECK says against an attachment. @throws where the caller has given up */
async function damageOf(
  cni: CniNetwork,
  item: CachedAttachment,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await cni.check(item.list, item, item.result, signal);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return describeError(error);
  }
}

const statusTimeoutMs = 10_000;

function requireConflist(dir: string): NetworkConfigList {
  const list = loadConflist(dir);
  if (list === undefined) throw new PodwrightError('E_NOT_FOUND', `no network configuration in ${dir}`);
  return list;
}

/** Nothing was made by a configuration that cannot be read: it must not keep pods from going. */
function readableConflist(dir: string): NetworkConfigList | undefined {
  try {
    return loadConflist(dir);
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return undefined;
    throw error;
  }
}

/** Without its result an attachment could not be taken down properly: then it must not stay. */
async function saveOrUndo(made: {
  readonly cache: ResultCache;
  readonly cni: CniNetwork;
  readonly list: NetworkConfigList;
  readonly attachment: Attachment;
  readonly result: CniResult;
}): Promise<void> {
  const { cache, cni, list, attachment, result } = made;
  try {
    await cache.save({ ...attachment, list, result }, configTextOf(list));
  } catch (cause) {
    await cni.del(list, attachment, result, timeoutSignal(statusTimeoutMs));
    throw cause;
  }
}

/** Whether taking the chain down failed too (cni-network.ts). */
function isHalfDone(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof SuppressedError;
}

function configTextOf({ name, cniVersion, plugins }: NetworkConfigList): string {
  return JSON.stringify({ cniVersion, name, plugins });
}

export function toAttachment(request: PodNetworkRequest): Attachment {
  return {
    containerId: request.sandboxId,
    netns: request.netnsPath,
    ifname: podIfname,
    // What kubelet's runtimes pass by convention; IgnoreUnknown lets plugins that do not know them go on.
    args: {
      IgnoreUnknown: '1',
      K8S_POD_NAMESPACE: request.podNamespace,
      K8S_POD_NAME: request.podName,
      K8S_POD_INFRA_CONTAINER_ID: request.sandboxId,
      K8S_POD_UID: request.podUid,
    },
    capabilityArgs: toCapabilityArgs(request),
  };
}

function toCapabilityArgs(request: PodNetworkRequest): JsonObject {
  const portMappings = request.portMappings
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ hostPort, containerPort, protocol, hostIp }) => ({
      hostPort,
      containerPort,
      protocol: protocol.toLowerCase(),
      hostIP: hostIp,
    }));
  return {
    ...(portMappings.length === 0 ? {} : { portMappings }),
    ...(request.bandwidth === undefined ? {} : { bandwidth: toBuckets(request.bandwidth) }),
  };
}

/** More than the plugin's token bucket counts is as good as no bound: 4 GB a second. */
const rateBitsMax = 2 ** 35 - 8;
/** What may pass at once: a tenth of a second's worth, and not less than a few segments of TCP. */
const [burstSeconds, burstBitsMin] = [0.1, 1_000_000];

/** The capability `bandwidth` (CONVENTIONS.md of the CNI project): rates in bits a second, bursts in bits. */
function toBuckets({ ingressBits, egressBits }: PodBandwidth): JsonObject {
  const bucket = (direction: string, bits: number | undefined): JsonObject => {
    if (bits === undefined) return {};
    const rate = Math.min(bits, rateBitsMax);
    const burst = Math.max(Math.floor(rate * burstSeconds), burstBitsMin);
    return { [`${direction}Rate`]: rate, [`${direction}Burst`]: burst };
  };
  return { ...bucket('ingress', ingressBits), ...bucket('egress', egressBits) };
}
