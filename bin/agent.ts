import { join, resolve } from 'node:path';

import { systemClock, type Clock } from '#base/clock.ts';
import { removeDrafts } from '#base/durable-file.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import {
  configMaps,
  endpointSlices,
  namespaces,
  nodes,
  pods,
  serviceCidrs,
  services,
} from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { cdiDirectories } from '#agent/device/cdi/cdi-files.ts';
import { formatReference, parseReference } from '#api/oci/reference.ts';
import { gitVersion } from '#api/release.ts';
import { startDns } from '#agent/dns/dns.ts';
import { DnsCounts, serveDnsMetrics } from '#agent/dns/dns-counts.ts';
import { dnsConfigSelection } from '#agent/dns/follow-dns-config.ts';
import { kubeDnsKey } from '#agent/dns/kube-dns.ts';
import { podIpIndex, podIpsOf, searchesOfPod } from '#agent/dns/pod-searches.ts';
import type { DnsSettings } from '#agent/kubelet/render/host-files.ts';
import { readProviders, type CredentialProvider } from '#agent/kubelet/images/credentials/provider-config.ts';
import { startKubelet, type Kubelet } from '#agent/kubelet/kubelet.ts';
import { renderCertificates } from '#agent/kubelet/stats/certificate-metrics.ts';
import type { KubeletTls } from '#agent/kubelet/server/kubelet-server.ts';
import { clusterNetworksOf } from '#agent/network/cluster-network.ts';
import { podCidrsOf } from '#agent/network/fabric/fabric-plan.ts';
import { followServiceNetworks } from '#agent/network/service-networks.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Policies } from '#agent/network/policy/enforce-policies.ts';
import { renderPolicyCounts } from '#agent/network/policy/policy-counts.ts';
import { withPolicies } from '#agent/network/policy/policy-network.ts';
import { withRedirects } from '#agent/network/fast-path/redirect-network.ts';
import { createLeaseNotes, type LeaseNotes } from '#agent/node/lease-notes.ts';
import { createClusterGuard, type ClusterGuard } from '#agent/node/cluster-guard.ts';
import {
  followHostNames,
  hostNameFiles,
  type HostNameFiles,
  type HostNames,
} from '#agent/node/host-names.ts';
import { demoImageName } from '#agent/runtime/images/demo-image.ts';
import type { IdSpace } from '#agent/runtime/id-ranges.ts';
import type { Informer } from '#client/client.ts';
import type { RequestsAsked } from '#client/requests/requests-asked.ts';
import { renderAsked } from '#agent/node/asked-metrics.ts';
import { createInformers, withoutManagedFields, type Informers } from '#client/informers.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import { createProc } from '#native/proc/proc.linux.ts';
import { conflistDirOf, openPodNetwork } from './program/network/pod-network.ts';
import { startNodeProxy } from './proxy/node-proxy.ts';
import { startAnnouncements } from './program/network/announcements.ts';
import { checkNetwork } from './program/network/check-network.ts';
import { startCniSocket } from './program/cni-socket.ts';
import { countContainers, startControl } from './control.ts';
import { kubeletAccessOf } from './authorization/kubelet-access.ts';
import { awaitCredentials } from './credentials/await-credentials.ts';
import { connectByFiles } from './credentials/connect-by-files.ts';
import {
  readCredentials,
  type Credentials,
  type FollowedCredentials,
} from './credentials/follow-credentials.ts';
import type { Purpose } from './credentials/request-certificate.ts';
import { requireCurrent, rotateCertificates } from './credentials/rotate-certificates.ts';
import { diskFullError } from './program/data-dir.ts';
import { giveMemoryBack } from './program/give-memory-back.ts';
import { createLogger } from './program/log.ts';
import { nodeNameOf } from './credentials/node-identity.ts';
import { claimDirectory } from './ownership/claim-directory.ts';
import { agentPaths, demoImageNotePath, ownLogsDir, type AgentPaths } from './paths.ts';
import { openFabricHealth, startNodeFabric, type ToldHealth } from './program/node-fabric.ts';
import { openRedirects, type NodeRedirects } from './node/open-redirects.ts';
import { openSockets } from './node/open-sockets.ts';
import { openCgroups } from './node/open-cgroups.ts';
import { shutdownSourcesOf } from './node/shutdown-sources.ts';
import { ensureDemoImage } from './node/ensure-demo-image.ts';
import { findCgroupRoot } from './program/cgroup-root.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { startKernel } from './node/start-kernel.ts';
import { startCri } from './cri/start-cri.ts';
import { attachedPods, openNetworkPolicies } from './program/network/network-policies.ts';
import { agentOptionProblems } from './options/agent-problems.ts';
import { refuseOptions } from './options/option-problems.ts';
import { openNodeRuntime, type NodeRuntime } from './program/node-runtime.ts';
import { openNodeRules, type NodeRules } from './program/node-rules.ts';
import { announceReady } from './program/ready.ts';
import { idSpaceFor, subordinateIdProblems } from './options/subordinate-ids.ts';
import { resolvConfProblems } from './options/resolv-conf-option.ts';
import { configured, type ConfiguredOptions } from './kubelet/configured.ts';
import { isReady, waitForNode } from './program/wait-for-node.ts';
import { stopSignal } from './program/stop-signal.ts';
import type { AgentCommandOptions } from './options/command-options.ts';
import { version } from './version.ts';

const kubeletPort = 10_250;
const ownServices: ReadonlySet<string> = new Set([kubeDnsKey]);

type NodeOptions = ConfiguredOptions & { readonly nodeName: string; readonly idSpace: IdSpace };

/** What the parts of a node share. */
interface Parts {
  readonly options: NodeOptions;
  readonly paths: AgentPaths;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly informers: Informers;
  /** What is not the node's alone: all Nodes, Services and their endpoints, as who may read them. */
  readonly clusterInformers: Informers;
  readonly kernel: NetlinkWorker;
  readonly network: PodNetwork;
  readonly policies: Policies;
  readonly leaseNotes: LeaseNotes;
  readonly redirects: NodeRedirects | undefined;
  readonly runtime: NodeRuntime;
  readonly rules: NodeRules;
  readonly cluster: ClusterGuard;
  readonly hostNames: HostNames;
  readonly credentials: FollowedCredentials;
  readonly health: ToldHealth;
  /** Told when the credentials were renewed. */
  readonly renewed: Set<(tls: KubeletTls) => void>;
  /** How often they could not be. */
  readonly notRenewed: Record<Purpose, number>;
  /** What the kubelet asked of the API server. */
  readonly asked: RequestsAsked;
  /** What its proxy, DNS and routes asked. */
  readonly proxyAsked: RequestsAsked;
}

/** It is in no registry. */
const pinnedImages: readonly string[] = [formatReference(parseReference(demoImageName))];

/** A node in one process, until a signal ends it. Its pods go on. */
export async function runAgent(given: AgentCommandOptions): Promise<void> {
  try {
    await runNode(configured(given));
  } catch (error) {
    throw diskFullError(resolve(given.data), error);
  }
}

async function runNode(given: ConfiguredOptions): Promise<void> {
  const stop = stopSignal();
  const problems = [agentOptionProblems, resolvConfProblems, subordinateIdProblems];
  refuseOptions(
    'agent',
    problems.flatMap((find) => find(given)),
  );
  await awaitCredentials(given.credentials, process.env, systemClock);
  const credentials = readCredentials(given.credentials, systemClock, given.clientCaFile);
  if (given.rotateCertificates === true)
    requireCurrent(credentials.access.clientCertPem, given.credentials, systemClock.now());
  const nodeName = nodeNameOf(credentials.access.clientCertPem, given);
  const options = { ...given, nodeName, idSpace: idSpaceFor(given) };
  const startedAtMs = systemClock.now();
  const logger = createLogger(process.env, { process: 'agent', node: options.nodeName });
  for (const notice of options.notices) logger.warn({ field: notice }, 'KubeletConfiguration');
  for (const notice of options.proxy.notices) logger.warn({ field: notice }, 'KubeProxyConfiguration');
  const supervisorPath = await ensureSupervisor(); // Said at once, rather than when a pod needs it.
  await using stack = new AsyncDisposableStack();

  const parts = await startParts(stack, { options, supervisorPath, credentials, logger });
  const { runtime, paths } = parts;
  const demoImageProblem = await ensureDemoImage(runtime, { noteFile: demoImageNotePath, logger });
  // Before the first thing that the server says: a node that refuses its cluster can be asked why.
  stack.use(
    await startControl(paths.controlSocket, {
      images: runtime.images,
      pinned: pinnedImages,
      containersOf: (imageId) => countContainers(runtime, imageId),
      status: () => ({
        node: options.nodeName,
        pid: process.pid,
        startedAtMs,
        pods: runtime.observeAll().length,
        rssBytes: process.memoryUsage.rss(),
        ...(demoImageProblem === undefined ? {} : { demoImageProblem }),
        ...(parts.cluster.problem === undefined ? {} : { clusterProblem: parts.cluster.problem }),
      }),
    }),
  );
  stack.use(await startCniSocket(join(paths.run, 'cni.sock'), parts.kernel));
  const nodeInformer = parts.clusterInformers.for(nodes);
  const kubelet = stack.use(await startPods(parts));
  if (options.criSocket !== undefined)
    stack.use(await startCri({ ...parts, path: resolve(options.criSocket), cgroupDefault: 'cri' }));
  parts.health.listeners.add(() => kubelet.refreshNode());
  parts.renewed.add((tls) => kubelet.setTls(tls));
  await waitForNode(nodeInformer, options.nodeName, (each) => podCidrsOf(each).length > 0);
  await startNetwork(stack, parts, nodeInformer);
  kubelet.refreshNode();
  await waitForNode(nodeInformer, options.nodeName, isReady);
  logger.info({ ms: systemClock.now() - startedAtMs }, 'node ready');
  if (options.rotateCertificates === true) stack.use(startRotation(parts));
  stack.use(checkNetwork(parts));
  await announceReady(process.env);
  stack.use(giveMemoryBack({ clock: systemClock, logger, isForStart: true }));
  logger.info({ signal: await stop }, 'stopping; pods go on');
}

/** Once the Node is there: what it shows is approved by what the Node says. */
function startRotation({
  options,
  credentials,
  notRenewed,
  informers,
  clock,
  logger,
}: Parts): AsyncDisposable {
  const { access, proxyAccess, tls } = credentials.current();
  return rotateCertificates({
    directory: resolve(options.credentials),
    nodeName: options.nodeName,
    nodeIps: options.nodeIp,
    place: { server: access.server, caCertPem: access.caPem ?? tls.clientCa },
    held: { client: access.clientCertPem, proxy: proxyAccess?.clientCertPem, serving: tls.cert },
    client: informers.client,
    clock,
    logger,
    random: Math.random,
    onWritten: () => credentials.look(),
    onFailed: (purpose) => void (notRenewed[purpose] += 1),
  });
}

interface StartInput {
  readonly options: NodeOptions;
  readonly supervisorPath: string;
  readonly credentials: Credentials;
  readonly logger: Logger;
}

/** The node's ports to kernel and API, and the runtime with everything that an earlier agent left. */
async function startParts(
  stack: AsyncDisposableStack,
  { options, supervisorPath, credentials, logger }: StartInput,
): Promise<Parts> {
  const clock = systemClock;
  const paths = claimPaths(stack, options);
  const { server } = credentials.access;
  const cluster = createClusterGuard({ file: paths.clusterFile, server, clock, logger });
  const files = { options, credentials, cluster, logger };
  const { client, proxyClient, asked, proxyAsked, followed, renewed } = connectByFiles(stack, files);
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const clusterInformers =
    proxyClient === undefined
      ? informers
      : stack.use(createInformers({ client: proxyClient, clock, logger, transform: withoutManagedFields }));
  const kernel = stack.use(await startKernel(logger));
  const { nodeName, nodeIp, clusterCidr: clusterCidrs, clusterDns } = options;
  const shared = { informers, clusterInformers, kernel, clock, logger };
  const redirects = await openRedirects(stack, { ...options, run: paths.run, ...kernel, logger });
  const leaseNotes = createLeaseNotes();
  const policies = openNetworkPolicies(stack, {
    ...{ nodeName, clusterCidrs, clusterDns, leaseNotes, ...shared },
    ...(redirects === undefined ? {} : { onConcerned: redirects.setConcerned }),
  });
  const firstFamily = familyOfIp(nodeIp[0] ?? '') ?? 4;
  const podNetwork = await openPodNetwork(stack, { paths, kernel, firstFamily, clock, logger });
  const withRules = withPolicies(podNetwork, policies);
  const network = redirects === undefined ? withRules : withRedirects(withRules, redirects);
  const runtime = await openNodeRuntime(stack, {
    options,
    paths,
    supervisorPath,
    network,
    policies,
    kernel,
    clock,
    logger,
  });
  const attached = attachedPods(runtime);
  redirects?.attachEarlier(new Set(attached.map(({ sandboxId }) => sandboxId)));
  policies.start(attached);
  const hostNames = stack.use(await followHostNames({ files: filesOfNames(options), clock, log: logger }));
  const rules = openNodeRules(stack, { options, credentials: followed, runtime, ...shared });
  const health = openFabricHealth(stack, { nodeName, ...shared });
  const notRenewed = { client: 0, proxy: 0, serving: 0 };
  const own = {
    options,
    paths,
    credentials: followed,
    renewed,
    notRenewed,
    asked,
    proxyAsked,
    rules,
    health,
  };
  return { ...own, ...shared, cluster, hostNames, network, policies, leaseNotes, redirects, runtime };
}

/** A file that was named is taken as it is. */
function filesOfNames({ resolvConf }: NodeOptions): HostNameFiles {
  return resolvConf === undefined ? hostNameFiles : { ...hostNameFiles, resolvConf, resolved: undefined };
}

/** The node's directories, proven ours and nobody else's. */
function claimPaths(
  stack: AsyncDisposableStack,
  { data, run, podLogsDir, pluginsDir }: NodeOptions,
): AgentPaths {
  const logs = podLogsDir === undefined ? undefined : resolve(podLogsDir);
  const kubelet = pluginsDir === undefined ? undefined : resolve(pluginsDir);
  const paths = agentPaths(resolve(data), resolve(run), { logs, kubelet });
  stack.use(claimDirectory(paths.data, { role: 'agent', mode: 0o700, option: '--data' }));
  removeDrafts(paths.data);
  stack.use(claimDirectory(paths.run, { role: 'run', mode: 0o700, option: '--run' }));
  if (logs !== undefined)
    stack.use(claimDirectory(logs, { role: 'logs', mode: 0o755, option: '--pod-logs-dir' }));
  return paths;
}

/** Service rules, routes and DNS stand before the first pod starts. */
async function startNetwork(
  stack: AsyncDisposableStack,
  parts: Parts,
  nodeInformer: Informer<Node>,
): Promise<void> {
  const { options, paths, clock, logger: log, informers, clusterInformers, kernel, hostNames } = parts;
  const { nodeName, nodeIp: nodeIps } = options;
  const networks = clusterNetworksOf(options.clusterCidr, options.serviceCidr, options.loadBalancerCidr);
  const objects = clusterInformers.for(serviceCidrs);
  const serviceNetworks = stack.use(followServiceNetworks({ networks, objects, nodeIps, log }));
  const shared = { clock, log, networks, serviceNetworks, ...kernel };
  const caches = {
    services: clusterInformers.for(services),
    endpointSlices: clusterInformers.for(endpointSlices),
  };
  const ownPods = informers.for(pods, {
    fieldSelector: `spec.nodeName=${nodeName}`,
    indexes: { [podIpIndex]: podIpsOf },
  });
  const resolution = (): DnsSettings => ({
    clusterDns: options.clusterDns,
    clusterDomain: options.clusterDomain,
    hostResolvConf: hostNames.resolvConf(),
  });
  const dnsCounts = new DnsCounts();
  await startNodeFabric(stack, {
    ...parts,
    ...{ log, networks, serviceNetworks, nodeInformer, conflistDir: conflistDirOf(paths) },
  });
  await startNodeProxy(stack, {
    ...shared,
    ...caches,
    applied: parts.rules.applied,
    client: clusterInformers.client,
    asked: parts.proxyAsked,
    nodes: nodeInformer,
    nodeName,
    nodeIps,
    ownServices,
    mode: options.proxyMode,
    ...options.proxy,
    ...(await openSockets(options, log)),
    xtables: createXtables(process.env, kernel.nft),
  });
  startAnnouncements(stack, {
    ...{ ...shared, ...caches, nodeName, nodeIps, nodes: nodeInformer, client: clusterInformers.client },
  });
  stack.use(
    await startDns({
      ...shared,
      ...caches,
      namespaces: clusterInformers.for(namespaces),
      addresses: options.clusterDns,
      zone: options.clusterDomain,
      upstreams: () => (options.podEgress === 'none' ? [] : hostNames.nameservers()),
      configMaps: clusterInformers.for(configMaps, dnsConfigSelection),
      searchesOf: (ip) => searchesOfPod(ownPods, ip, resolution),
      counts: dnsCounts,
    }),
  );
  for (const host of nodeIps) stack.use(serveDnsMetrics({ host, counts: dnsCounts, clock, log }));
}

async function startPods(parts: Parts): Promise<Kubelet> {
  const { options, paths, clock, logger, informers, network, runtime, hostNames } = parts;
  return startKubelet({
    nodeName: options.nodeName,
    nodeIps: options.nodeIp,
    isOfCloud: options.cloudProvider === 'external',
    informers,
    watchedNode: parts.clusterInformers.for(nodes),
    runtime,
    network,
    mounts: createMounts(),
    proc: createProc(),
    clock,
    logger,
    directories: {
      pods: join(paths.data, 'pods'),
      podsMemory: join(paths.run, 'volumes'),
      volumes: paths.volumes,
      logs: paths.logs,
      kubelet: paths.kubelet,
      seccomp: join(paths.data, 'seccomp'),
      formerLogs: ownLogsDir(paths.data),
    },
    clusterDns: options.clusterDns,
    clusterDomain: options.clusterDomain,
    hostNames,
    leaseNotes: parts.leaseNotes,
    ...parts.rules,
    plugins: {
      stateDirectory: paths.data,
      cdiDirectories:
        options.containerRuntimeEndpoint === undefined
          ? // Of this node alone: nodes of one machine share the others.
            [...cdiDirectories, join(paths.kubelet, 'cdi')]
          : undefined,
    },
    imageGc: {
      highThresholdPercent: options.imageGcHighThreshold,
      lowThresholdPercent: options.imageGcLowThreshold,
      minAgeMs: parseDurationMs(options.minimumImageTtlDuration),
      maxAgeMs: parseDurationMs(options.imageMaximumGcAge),
    },
    pinnedImages,
    podsMax: options.maxPods,
    idSpace: options.idSpace,
    settings: options.settings,
    credentialProviders: providersOf(options),
    trees: { own: await openCgroups(options.cgroup), host: () => createCgroups(findCgroupRoot()) },
    shutdownSources: await shutdownSourcesOf(options.settings, { logger, clock }),
    configuration: options.configuration,
    server: {
      hosts: options.nodeIp,
      port: kubeletPort,
      tls: parts.credentials.current().tls,
      access: kubeletAccessOf(options),
    },
    moreConditions: () => [parts.health.condition()],
    moreMetrics: async () =>
      renderPolicyCounts(await parts.policies.counters()) +
      certificateLines(parts) +
      renderAsked(parts.asked),
    versions: { kubelet: gitVersion, runtime: parts.runtime.version ?? `podwright://${version()}` },
  });
}

function certificateLines({ credentials, notRenewed, clock }: Parts): string {
  const { access, tls } = credentials.current();
  const certificates = { client: access.clientCertPem, serving: tls.cert };
  return renderCertificates({ ...certificates, servingNotRenewed: notRenewed.serving }, clock.now());
}

/** Read at the start, as the kubelet does. @throws E_INVALID */
function providersOf({
  imageCredentialProviderConfig: file,
  imageCredentialProviderBinDir: directory,
}: NodeOptions): readonly CredentialProvider[] {
  return file === undefined || directory === undefined
    ? []
    : readProviders(resolve(file), resolve(directory));
}
