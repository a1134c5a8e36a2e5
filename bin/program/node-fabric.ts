/** The node's fabric, wired: who says how pods are reached, who is told, and what follows for pods. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { configMaps, nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import { writeDefaultConflist } from '#agent/network/conflist-dir.ts';
import { fabricConfigSelection, followChoice } from '#agent/network/fabric/choice.ts';
import { podCidrsOf } from '#agent/network/fabric/fabric-plan.ts';
import type { FabricState } from '#agent/network/fabric/fabric-options.ts';
import { startFabric } from '#agent/network/fabric/fabric.ts';
import { createFabricHealth, type FabricHealth } from '#agent/network/fabric/health.ts';
import { macOfNode } from '#agent/network/fabric/node-fabric.ts';
import { applyPodMtu } from '#agent/network/fabric/pod-mtu.ts';
import { startSelfTest } from '#agent/network/fabric/self-test/self-test.ts';
import { parseFabric } from '#agent/network/fabric/settings.ts';
import { createUdp } from '#agent/network/fabric/udp.ts';
import { createVxlan } from '#agent/network/fabric/vxlan.ts';
import { createWireGuardTunnel, ensurePrivateKey } from '#agent/network/fabric/wireguard.ts';
import type { ServiceNetworks } from '#agent/network/service-networks.ts';
import type { Informer } from '#client/client.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';
import { openRelay } from '#native/tun/relay.linux.ts';
import type { NodeRedirects } from '#bin/node/open-redirects.ts';
import type { AgentPaths } from '#bin/paths.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';

export interface NodeFabricParts {
  readonly options: AgentCommandOptions & { readonly nodeName: string };
  readonly paths: AgentPaths;
  readonly conflistDir: string;
  readonly networks: readonly ClusterNetwork[];
  readonly serviceNetworks: ServiceNetworks;
  readonly kernel: NetlinkWorker;
  /** As the node: it writes its own Node. */
  readonly informers: Informers;
  /** As who may read what is not the node's alone. */
  readonly clusterInformers: Informers;
  readonly nodeInformer: Informer<Node>;
  readonly health: FabricHealth;
  /** Absent: packets to other nodes all pass the network stack. */
  readonly redirects?: Pick<NodeRedirects, 'setPaths'> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface FabricHealthParts {
  readonly nodeName: string;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** With who hears that there is something else to say. */
export interface ToldHealth extends FabricHealth {
  readonly listeners: Set<() => void>;
}

/** What the node says of its fabric, by events too. */
export function openFabricHealth(
  stack: AsyncDisposableStack,
  { nodeName, informers: { client }, clock, logger }: FabricHealthParts,
): ToldHealth {
  const recorder = stack.use(
    createEventRecorder({ client, component: 'fabric', host: nodeName, clock, logger }),
  );
  // As the kubelet refers to its node.
  const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
  const listeners = new Set<() => void>();
  const health = createFabricHealth(({ status, reason, message }) => {
    const isBad = status === 'True';
    const what = isBad ? 'FabricDegraded' : 'FabricSound';
    const text = isBad ? `${reason}: ${message}` : message;
    recorder.record({ kind: nodes, object }, isBad ? 'Warning' : 'Normal', what, text);
    for (const hear of listeners) hear();
  });
  return { ...health, listeners };
}

/** How long the cluster's own word is waited for, before the node begins with its option. */
const choiceMs = 5_000;
/** What links have that nobody has told of an MTU. */
const linkMtuDefault = 1500;

/** Ends with the stack. The node's own network of pods is written down when the fabric has said what passes through it. */
export async function startNodeFabric(stack: AsyncDisposableStack, parts: NodeFabricParts): Promise<void> {
  const { options, kernel, networks, serviceNetworks, clock, log, nodeInformer, clusterInformers, health } =
    parts;
  const { nodeName } = options;
  const parsed = parseFabric(options.fabric);
  if ('problem' in parsed) throw new PodwrightError('E_USAGE', `start agent: --fabric: ${parsed.problem}`);
  const settings = clusterInformers.for(configMaps, fabricConfigSelection);
  const choice = stack.use(followChoice(parsed.settings, settings, log));
  // Not by the option first, and by the cluster's word a moment later: an agent that starts again changes nothing.
  await Promise.race([settings.synced, clock.sleep(choiceMs)]);
  const keepPodNetwork = createPodNetworkKeeper(parts);
  const keyFile = join(parts.paths.data, 'wireguard.key');
  const wireguard = createWireGuardTunnel({ ...kernel, log, privateKey: () => ensurePrivateKey(keyFile) });
  const selfTest = stack.use(
    startSelfTest({
      ...{ nodeName, clock, log, nodes: nodeInformer, nodeIps: options.nodeIp },
      onChange: (faults) => health.setFaults(faults),
    }),
  );
  stack.use(
    await startFabric({
      ...{ ...kernel, networks, serviceNetworks, clock, log, nodeName, choice },
      nodeIps: options.nodeIp,
      nodes: nodeInformer,
      hasEgress: options.podEgress === 'masquerade',
      ...(options.linkCidr === undefined ? {} : { linkCidrs: options.linkCidr }),
      tunnels: [
        createVxlan({ netlink: kernel.netlink, mac: macOfNode(nodeName), log }),
        stack.use(createUdp({ netlink: kernel.netlink, openRelay, log })),
        wireguard,
      ],
      publicKey: () => wireguard.publicKey(),
      publish: async (annotation, text) => {
        const body = { metadata: { annotations: { [annotation]: text } } };
        await parts.informers.client.patch(nodes, { name: nodeName }, { kind: 'merge', body });
      },
      onLook: async (state) => {
        health.setProblems(state.problems);
        selfTest.setState(state);
        await keepPodNetwork(state);
        await parts.redirects?.setPaths(state.paths);
      },
    }),
  );
}

/** Pods, those that run and those to come, have the MTU that the fabric has room for. */
function createPodNetworkKeeper({
  paths,
  conflistDir,
  kernel,
  nodeInformer,
  options,
  log,
}: NodeFabricParts): (state: Pick<FabricState, 'links' | 'podMtu'>) => Promise<void> {
  let written = '';
  return async (state) => {
    const { podMtu } = state;
    const podCidrs = podCidrsOf(nodeInformer.get(options.nodeName) ?? {});
    const text = JSON.stringify([podMtu, podCidrs]);
    if (text !== written && podCidrs.length > 0) {
      await writeDefaultConflist(conflistDir, {
        podCidrs,
        leaseDir: join(paths.run, 'leases'),
        mtu: podMtu === linkMtuDefault ? undefined : podMtu,
      });
      written = text;
    }
    const pods = await applyPodMtu(kernel.netlink, state, () => netnsPaths(join(paths.run, 'netns')));
    if (pods > 0) log.info({ mtu: podMtu, pods }, 'pods have another MTU');
  };
}

/** None where no pod has run yet. */
function netnsPaths(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
