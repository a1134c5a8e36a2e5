import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { services } from '#api/schema/kind-ref.ts';
import type { Service } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import { removeDrafts } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { shellWord } from '#base/shell-word.ts';
import { hostNameFiles } from '#agent/node/host-names.ts';
import { createApiClient } from '#client/api-client.ts';
import type { Informer } from '#client/client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { createInformers } from '#client/informers.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { awaitVariable } from '#bin/credentials/await-credentials.ts';
import { programCommand, programEnvironment } from '#bin/program/program.ts';
import type { Progress } from '#bin/terminal/progress.ts';
import { endCgroup, removeRunDirectory } from './cleanup.ts';
import { waitForRefusal } from './cluster-refusal.ts';
import { findMissingDemoImages, type MissingDemoImage } from './demo-image.ts';
import { startEgress } from './egress.ts';
import { insideHost, startHost, type Host } from './host.ts';
import { Keeper, type KeptProcess } from './keeper.ts';
import { takeLoopbackListener } from './listener.ts';
import { exposePorts } from './outside/expose.ts';
import { parseExposed } from './outside/exposed.ts';
import { renderNodeResolvConf } from './outside/render-resolv-conf.ts';
import { openNat, removeNat } from './outside/nat.ts';
import { startNames, startWayOut } from './outside/way-out.ts';
import {
  agentArguments,
  fakeNodesArguments,
  ownCidrs,
  planBridge,
  planCable,
  planUp,
  serverArguments,
  type UpOptions,
  type UpPlan,
} from './plan.ts';
import { isAlive, readLeftState, removeState, startTicksOf, writeState } from './state.ts';

export interface UpPorts {
  readonly clock: Clock;
  /** The cgroup below which that of the cluster goes, and how a cgroup with all controllers that there are is made. */
  readonly cgroupRoot: string;
  /** Cgroups that a killed `up` of this data directory left, wherever it stood. */
  readonly findEarlier: () => readonly string[];
  readonly makeCgroup: (path: string) => Promise<void>;
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly progress: Progress;
  readonly environment: NodeJS.ProcessEnv;
}

export interface RunningUp extends AsyncDisposable {
  readonly plan: UpPlan;
  /** Nodes without the demo image, and why. */
  readonly withoutDemoImage: readonly MissingDemoImage[];
}

interface Hosts {
  readonly server: Host;
  readonly nodes: readonly Host[];
}

/**
 * Starts a whole cluster on this machine, in a data directory that the caller has claimed. Disposing it stops everything and
 * leaves nothing but that directory. Nothing of the machine's own network is touched, but with `--egress=nat`. A start that is aborted ends what
 * it had started.
 *
 * @throws E_BUSY (a second `up` on the same data directory, a port in use), E_USAGE, E_UNSUPPORTED, E_CONNECTION, E_PERMISSION
 * @throws the signal's reason
 */
export async function startUp(options: UpOptions, ports: UpPorts, signal: AbortSignal): Promise<RunningUp> {
  const plan = planUp(options, ports.cgroupRoot);
  await using undo = new AsyncDisposableStack();

  undo.defer(() => removeRunDirectory(plan.runDir));
  await clearEarlier(plan, ports);
  // Before anything is started: the commonest thing to be in the way.
  (await takeLoopbackListener(plan.port)).release();
  removeDrafts(plan.dataDir);
  undo.defer(() => removeState(plan.dataDir));
  undo.defer(() => endCgroup(plan.cgroup, ports.clock));
  const { progress } = ports;
  const hosts = await progress.step('namespaces, bridge and cables', () => startHosts(plan, ports, undo));
  signal.throwIfAborted();
  await recordState(plan, hosts);
  undo.use(await startEgress(plan.egressSocket));
  if (plan.egress !== undefined)
    undo.use(await openWayOut(plan, plan.egress, { server: hosts.server, ports }));
  const server = undo.use(new Keeper(serverProcess(plan, hosts.server), keeperOptions(ports)));
  const agents = hosts.nodes.map((host) =>
    undo.use(new Keeper(agentProcess(plan, host), keeperOptions(ports))),
  );
  const startNodes = (): Promise<void> => startAgents(agents, { plan, clock: ports.clock }, signal);
  const early = mayStartBeside(plan) ? startNodes() : undefined;
  early?.catch(() => undefined); // Told below, unless the server fails first.
  await progress.step('API server, scheduler, controllers', () => server.start(signal));
  await giveToSudoUser(plan.kubeconfig, ports.environment);
  const what = agents.length === 1 ? 'node-1 Ready' : `node-1 to node-${agents.length} Ready`;
  await progress.step(what, () => early ?? startNodes());
  if (plan.fakeNodes > 0) {
    const fleet = undo.use(new Keeper(fakeNodesProcess(plan, hosts.server), keeperOptions(ports)));
    await progress.step(`${plan.fakeNodes} fake nodes`, () => fleet.start(signal));
  }
  undo.use(openPorts(plan, hosts, ports));
  const withoutDemoImage = await findMissingDemoImages(plan.nodes);
  signal.throwIfAborted();
  const started = undo.move();
  return { plan, withoutDemoImage, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** A server that takes longer has a store that is read for long: its nodes are tried again. */
const credentialsMsMax = 60_000;
/** More than these would take the processor from the server that they wait for. */
const nodesBesideMax = 2;

/**
 * Whether nodes are started while the server starts: they load meanwhile, and wait for their credentials. Not where there are some from an
 * earlier life, which the server is about to replace.
 */
function mayStartBeside({ nodes, server }: UpPlan): boolean {
  return nodes.length <= nodesBesideMax && !existsSync(join(server.dataDir, 'nodes'));
}

/** @throws E_CONFLICT when a node belongs to another cluster; see Keeper.start */
async function startAgents(
  agents: readonly Keeper[],
  { plan, clock }: { readonly plan: UpPlan; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const started = new AbortController();
  try {
    await Promise.race([
      Promise.all(agents.map((agent) => agent.start(signal))),
      waitForRefusal(plan.nodes, clock, started.signal),
    ]);
  } finally {
    started.abort();
  }
}

/** Under sudo the kubeconfig belongs to who typed the command, as kubectl is run without it. */
async function giveToSudoUser(file: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const [uid, gid] = [Number(environment['SUDO_UID']), Number(environment['SUDO_GID'])];
  if (Number.isInteger(uid) && Number.isInteger(gid)) await chown(file, uid, gid);
}

/** Clears away what a killed `up` left. @throws E_BUSY when one from before there were claims runs there */
async function clearEarlier(plan: UpPlan, ports: UpPorts): Promise<void> {
  const { clock, findEarlier } = ports;
  const { state } = await readLeftState(plan.dataDir);
  if (state !== undefined && isAlive(state)) {
    throw new PodwrightError(
      'E_BUSY',
      `start a cluster in ${plan.dataDir}: podwright up runs there as pid ${state.pid}; stop it with podwright down --data ${shellWord(plan.dataDir)}, or choose another directory with --data`,
    );
  }
  for (const cgroup of findEarlier()) await endCgroup(cgroup, clock);
  await removeNat(plan.dataDir, plan.id, ports);
}

async function startHosts(plan: UpPlan, ports: UpPorts, undo: AsyncDisposableStack): Promise<Hosts> {
  await ports.makeCgroup(plan.cgroup);
  const start = async (host: UpPlan['server']): Promise<Host> => {
    await ports.makeCgroup(host.cgroup);
    const leaf = join(host.cgroup, 'host');
    await mkdir(leaf, { recursive: true });
    await mkdir(join(host.cgroup, 'agent'), { recursive: true });
    return undo.use(await startHost(host, leaf));
  };
  const [server, ...nodes] = await Promise.all([plan.server, ...plan.nodes].map(start));
  if (server === undefined) throw new TypeError('a cluster has a server');
  await ports.netlink.apply(server.netns, planBridge(plan));
  for (const node of nodes) {
    const cable = planCable(plan, node.plan, node.netns);
    await ports.netlink.apply(server.netns, cable.atBridge);
    await ports.netlink.apply(node.netns, cable.atNode);
  }
  return { server, nodes };
}

/** The way out of the pods, before the first of them. */
async function openWayOut(
  plan: UpPlan,
  { how, gateways, link, resolvConf }: NonNullable<UpPlan['egress']>,
  { server, ports }: { readonly server: Host; readonly ports: UpPorts },
): Promise<AsyncDisposable> {
  const { clock, netlink, nft, progress } = ports;
  const machine = await readFile(hostNameFiles.resolvConf, 'utf8').catch(() => '');
  await writeFile(resolvConf, renderNodeResolvConf(machine, gateways));
  const warn = (text: string): void => progress.say(text);
  const netns = server.namespaces.net;
  const own = ownCidrs(plan);
  if (how === 'relay')
    return startWayOut({ netns, gateways, link, ownCidrs: own, nft, netlink, clock, warn });
  await using undo = new AsyncDisposableStack();
  for (const gateway of gateways) undo.use(await startNames({ netns, clock }, gateway));
  const families = gateways.map((gateway) => familyOfIp(gateway) ?? 4);
  undo.use(await openNat({ ...plan, families, ownCidrs: own, netns: server.netns }, ports));
  return undo.move();
}

/** What was asked for at 127.0.0.1, by way of the first node. */
function openPorts(plan: UpPlan, { server, nodes }: Hosts, { clock, progress }: UpPorts): AsyncDisposable {
  const undo = new AsyncDisposableStack();
  const exposed = plan.expose.flatMap((text) => parseExposed(text) ?? []);
  const follow = (): Informer<Service> => {
    const transport = undo.use(createHttpTransport(loadKubeconfig(plan.kubeconfig, clock)));
    const client = createApiClient({ transport, userAgent: 'podwright-up' });
    return undo.use(createInformers({ client, clock })).for(services);
  };
  const ports = exposePorts({
    exposed,
    services: exposed.includes('services') ? follow() : undefined,
    netns: server.namespaces.net,
    nodeIp: plan.nodes[0]?.ips[0] ?? '',
    nodeNetns: nodes[0]?.namespaces.net ?? '',
    clock,
    say: (text) => progress.say(text),
  });
  undo.use(ports);
  return undo;
}

async function recordState(plan: UpPlan, hosts: Hosts): Promise<void> {
  await writeState(plan.dataDir, {
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? '',
    port: plan.port,
    hosts: [hosts.server, ...hosts.nodes].map(({ pid, plan: { name, ips, dataDir } }) => ({
      name,
      ip: ips[0] ?? '',
      pid,
      dataDir,
    })),
  });
}

function keeperOptions(ports: UpPorts): ConstructorParameters<typeof Keeper>[1] {
  return {
    clock: ports.clock,
    environment: ports.environment,
    onUnexpectedExit: (name, how) =>
      ports.progress.say(`${timeOf(ports.clock)} ${name} ended (${how}); starting it again`, {
        process: name,
        how,
      }),
  };
}

/** For lines that are read long after. */
function timeOf(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}

function serverProcess(plan: UpPlan, host: Host): KeptProcess {
  return {
    name: 'server',
    command: insideHost(host, join(host.plan.cgroup, 'agent'), [
      ...programCommand('server', process.execArgv),
      ...serverArguments(plan),
    ]),
    environment: programEnvironment('server'),
    logFile: join(host.plan.dataDir, 'server.log'),
    takeListener: () => takeLoopbackListener(plan.port),
  };
}

function agentProcess(plan: UpPlan, host: Host): KeptProcess {
  return {
    name: host.plan.name,
    command: insideHost(host, join(host.plan.cgroup, 'agent'), [
      ...programCommand('agent', process.execArgv),
      ...agentArguments(plan, host.plan),
    ]),
    environment: { ...programEnvironment('agent'), [awaitVariable]: String(credentialsMsMax) },
    logFile: join(host.plan.dataDir, 'agent.log'),
  };
}

function fakeNodesProcess(plan: UpPlan, host: Host): KeptProcess {
  return {
    name: 'fake-nodes',
    command: insideHost(host, join(host.plan.cgroup, 'agent'), [
      ...programCommand('fake-nodes', process.execArgv),
      ...fakeNodesArguments(plan),
    ]),
    // What a killed one leaves goes with the host.
    environment: { ...programEnvironment('fake-nodes'), TMPDIR: host.plan.runDir },
    logFile: join(host.plan.dataDir, 'fake-nodes.log'),
  };
}
