import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { volumesDirectoryAnnotation, volumeSizesAnnotation } from '#api/volume/local-volumes.ts';
import { formatDuration } from '#api/meta/duration.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { openPulledImages, type PulledImages } from './images/pulled/pulled-images.ts';
import { createAppArmor, isAppArmorEnabled } from '#agent/node/apparmor.ts';
import { noAppArmor } from './render/apparmor.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import { readMachine, type MachineFacts } from '#agent/node/machine.ts';
import type { LeaseNotes } from '#agent/node/lease-notes.ts';
import { startNodeAgent, type NodeAgent, type WatchedNode } from '#agent/node/node-agent.ts';
import { allocatableOf, type NodeInput } from '#agent/node/node-status.ts';
import type { AppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import type { EndpointRetraction } from '#agent/proxy/retraction/retraction.ts';
import { readUserNamespaceFacts, userNamespaceProblem } from '#agent/node/user-namespaces.ts';
import { defaultIdSpace, type IdSpace } from '#agent/runtime/id-ranges.ts';
import type { ReadNetworkFacts } from '#agent/network/facts/read-facts.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { keepLocalVolumes } from '#agent/volume/claims/keep-local-volumes.ts';
import { createLocalVolumes } from '#agent/volume/claims/local-volumes.ts';
import { createMounter } from '#agent/volume/mounter.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Mounts } from '#native/mount/mount.ts';
import type { NodeShutdown } from './shutdown/node-shutdown.ts';
import { openIsolation, resizeProblemOf, startOomEvents, type IsolationOptions } from './start-isolation.ts';
import { shutdownProblem } from './shutdown/plan-shutdown.ts';
import type { NodeAssignments } from './assign/node-assignments.ts';
import { defaultSettings, type KubeletSettings } from './config/settings.ts';
import type { NodePressure } from './evict/node-pressure.ts';
import type { ImageCollector } from './images/collect-images.ts';
import type { CredentialProvider } from './images/credentials/provider-config.ts';
import { defaultImageGcPolicy } from './images/image-gc.ts';
import { startReclaim, type ReclaimOptions } from './start-reclaim.ts';
import { openNodePlugins, type NodePlugins, type PluginOptions } from './node-plugins.ts';
import type { KubeletDirectories } from './pod-paths.ts';
import { startPodWorkers, type PodWorkers } from './sync/pod-workers.ts';
import type { PodWorkersOptions } from './sync/sync-ports.ts';
import { createAccess, defaultAccess, type AccessOptions } from './server/access/access.ts';
import { cacheTimes, createReviews } from './server/access/reviews.ts';
import { startKubeletServer, type KubeletServer, type KubeletTls } from './server/kubelet-server.ts';
import { ProbeCounts } from './probe/probe-counts.ts';
import { HttpCounts } from './stats/http-counts.ts';
import { KubeletCounts } from './stats/kubelet-counts.ts';
import { RuntimeCounts } from './stats/runtime-counts.ts';
import { renderAssignments } from './stats/assign-metrics.ts';
import { renderDeviceMetrics } from './stats/device-metrics.ts';
import { renderVolumeMetrics } from '#agent/volume/counts/volume-metrics.ts';
import { readProcess } from '#agent/node/process-metrics.ts';
import { renderKubeletMetrics } from './stats/kubelet-metrics.ts';
import { createStatsReader, DiskUses } from './stats/read-stats.ts';
import type { ClaimVolumeFacts } from './stats/stats-input.ts';
import { watchClaimSizes } from './evict/watch-claim-sizes.ts';
import { readVolumeStats } from './stats/volume-stats.ts';

export interface KubeletOptions extends IsolationOptions, ReclaimOptions {
  readonly nodeName: string;
  /** Addresses of the node, the first being its InternalIP and the hostIP of its pods. */
  readonly nodeIps: readonly string[];
  /** Labels beyond those that every node has. */
  readonly labels?: Readonly<Record<string, string>>;
  /** `--cloud-provider=external`: the node is new to its cloud's controller. */
  readonly isOfCloud?: boolean;
  /** Watches and client that are the kubelet's own. */
  readonly informers: Informers;
  /** A watch that has the node's own object, if the process has one. */
  readonly watchedNode?: WatchedNode;
  readonly runtime: Runtime;
  readonly network: Pick<PodNetwork, 'status'>;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  /** Addresses of the cluster DNS; none: pods resolve as the node does. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly server: {
    readonly hosts: readonly string[];
    readonly port: number;
    readonly tls: KubeletTls;
    /** Default: certificates and tokens, reviewed by the API server. */
    readonly access?: AccessOptions;
  };
  /** What other parts of the node say of themselves in its status. */
  readonly moreConditions?: () => NonNullable<NodeInput['moreConditions']>;
  /** What they say in its Lease. */
  readonly leaseNotes?: LeaseNotes;
  /** What other parts of the node count, for /metrics. */
  readonly moreMetrics?: () => Promise<string>;
  /** `v1.36.2+podwright-0.1.0`, `podwright://0.1.0` */
  readonly versions: NodeInput['versions'];
  /** kubelet's maxPods. */
  readonly podsMax?: number;
  /** What pods with user namespaces of their own are given; undefined: the kubelet's default. */
  readonly idSpace?: IdSpace;
  readonly hostNames: HostNames;
  /** Undefined: pods are stopped without asking who is sent to them, and other nodes' kubelets hear nothing of it. */
  readonly retraction?: EndpointRetraction;
  /** Undefined: no plugin comes to the node. */
  readonly plugins?: PluginOptions;
  /** For `podwright trace`. */
  readonly networkFacts?: ReadNetworkFacts;
  /** How far the Service rules of this node are. */
  readonly applied?: AppliedRules;
  /** Programs that give credentials of images. */
  readonly credentialProviders?: readonly CredentialProvider[] | undefined;
  /** Undefined: the kubelet's defaults. */
  readonly settings?: KubeletSettings;
  /** What was given of KubeletConfiguration, for /configz. */
  readonly configuration?: JsonObject;
}

/** A node's kubelet. Disposing it leaves the pods running, for the next one to take on. */
export interface Kubelet extends AsyncDisposable {
  /** Resolves when the Node object is there. */
  readonly registered: Promise<Node>;
  /** Where the HTTPS server listens. */
  readonly port: number;
  /** What its server shows and believes, from the next connection on. */
  setTls(tls: KubeletTls): void;
  /** Looks at the state of runtime and network at once, instead of within ten seconds. */
  refreshNode(): void;
}

const podsMaxDefault = 110;

export async function startKubelet(asked: KubeletOptions): Promise<Kubelet> {
  const runtimeCounts = new RuntimeCounts(asked.clock);
  const options = { ...asked, runtime: runtimeCounts.of(asked.runtime) };
  const { runtime, clock, logger, nodeName, directories, settings = defaultSettings } = options;
  await using undo = new AsyncDisposableStack();

  await makeDirectories(directories);
  const machine = await readMachine(options.proc, directories.pods);
  const started: { agent?: NodeAgent } = {};
  const plugins = await openNodePlugins(undo, options);
  const { providers } = plugins;
  const isolation = await openIsolation({ ...options, providers }, machine, () => started.agent?.refresh());
  const { shutdown } = isolation;
  const probeCounts = new ProbeCounts();
  const counts = new KubeletCounts();
  const { collector, pressure } = startReclaim(undo, options);
  const workers = await startPodWorkers({
    ...plugins.workers,
    ...{ pressure, probeCounts, counts },
    informers: options.informers,
    runtime,
    mounter: createMounter(options.mounts),
    appArmor: isAppArmorEnabled() ? createAppArmor(logger) : undefined,
    clock,
    logger,
    directories,
    node: {
      ...nodeFactsOf(options, machine, isolation.assignments),
      pressed: () => pressure.conditions,
      isGoingDown: () => shutdown?.isGoingDown === true,
      seen: () => started.agent?.seen,
    },
    ...isolation.workers,
    ...staticPodsOf(settings),
    clusterDns: options.clusterDns,
    clusterDomain: options.clusterDomain,
    hostNames: options.hostNames,
    imagePulls: { atOnceMax: settings.imagePullsAtOnceMax, providers: options.credentialProviders },
    pulled: await openPulled(options),
    retraction: options.retraction,
    csi: plugins.csi.volumes,
    volumeCounts: plugins.volumeCounts,
  });
  undo.use(workers);
  startLocalVolumes(undo, options, workers);
  startOomEvents(undo, options, workers);
  const { assignments } = isolation;
  const served = { workers, collector, probeCounts, counts, runtimeCounts, plugins, assignments };
  const server = await startServer(options, served);
  undo.use(server);
  const agent = startNodeAgent({
    client: options.informers.client,
    ...{ clock, logger, name: nodeName },
    read: () => readNode(options, { server, pressure, plugins, shutdown, assignments }),
    ...{ times: settings, watched: options.watchedNode, notes: options.leaseNotes },
  });
  started.agent = undo.use(agent);
  plugins.start(agent, workers, isolation.assignments);
  const owned = undo.move();
  return {
    registered: agent.registered,
    port: server.port,
    setTls: (tls) => server.setTls(tls),
    refreshNode: () => agent.refresh(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function staticPodsOf({
  staticPodPath,
  fileCheckMs: checkMs,
}: KubeletSettings): Pick<PodWorkersOptions, 'staticPods'> {
  return staticPodPath === undefined ? {} : { staticPods: { path: staticPodPath, checkMs } };
}

function openPulled({
  directories,
  settings = defaultSettings,
  runtime,
  clock,
  logger,
}: KubeletOptions): Promise<PulledImages> {
  const { verification } = settings;
  const directory = path.join(directories.kubelet, 'image_manager');
  return openPulledImages({ directory, settings: verification, images: runtime.images, clock, logger });
}

async function makeDirectories(directories: KubeletDirectories): Promise<void> {
  const all = [
    ...[directories.pods, directories.podsMemory, directories.volumes],
    // Drivers' manifests ask for them as directories that are there.
    ...['plugins', 'plugins_registry', 'pods'].map((name) => path.join(directories.kubelet, name)),
  ];
  await Promise.all(all.map((one) => mkdir(one, { recursive: true, mode: 0o700 })));
}

/** What pods of this node asked for, made and removed here. */
function startLocalVolumes(
  stack: AsyncDisposableStack,
  { informers, clock, logger, nodeName, directories }: KubeletOptions,
  workers: PodWorkers,
): void {
  const { client } = informers;
  const events = stack.use(
    createEventRecorder({ client, component: 'kubelet', host: nodeName, clock, logger }),
  );
  stack.use(
    keepLocalVolumes({
      ...{ events, informers, clock, logger, nodeName },
      podsDirectory: directories.pods,
      localVolumes: createLocalVolumes({ directory: directories.volumes, nodeName }),
      onGrown: (uid) => workers.refreshVolumes(uid),
    }),
  );
  stack.use(
    watchClaimSizes({ ...{ events, clock, logger }, podsDirectory: directories.pods, pods: workers.pods }),
  );
}

function nodeFactsOf(
  options: KubeletOptions,
  machine: MachineFacts,
  assignments: NodeAssignments | undefined,
): PodWorkersOptions['node'] {
  const { settings = defaultSettings } = options;
  const { hugePages = new Map<string, number>(), swapBytes } = machine;
  const sizes = [...hugePages.keys()].map((name) => name.slice('hugepages-'.length));
  return {
    name: options.nodeName,
    ips: options.nodeIps,
    allocatable: allocatableOf(machine, settings),
    memoryBytes: machine.memoryBytes,
    ...{ swapBytes, hugePages, hugePageSizes: sizes, cgroupRules: settings.cgroupRules },
    placementOf: assignments && ((uid, container) => assignments.placementOf(uid, container)),
    resizeProblem: assignments && resizeProblemOf(assignments),
    podPidsMax: settings.podPidsMax,
    isSeccompDefault: settings.isSeccompDefault,
    allowedUnsafeSysctls: settings.allowedUnsafeSysctls,
    restartBackoffMaxMs: settings.restartBackoffMaxMs,
    ...(isAppArmorEnabled() ? {} : { appArmorProblem: noAppArmor }),
    isSelinuxEnabled: existsSync('/sys/fs/selinux/enforce'),
    userNamespaceProblem: userNamespaceProblemOf(options),
    kernelRelease: options.proc.kernelRelease(),
    podsMax: podsMaxOf(options, machine.cpuCount),
  };
}

/** maxPods, and no more than podsPerCore allows. */
function podsMaxOf({ podsMax = podsMaxDefault, settings }: KubeletOptions, cpuCount: number): number {
  const perCore = settings?.podsPerCore ?? 0;
  return perCore === 0 ? podsMax : Math.min(podsMax, perCore * cpuCount);
}

function userNamespaceProblemOf({ proc, idSpace = defaultIdSpace }: KubeletOptions): string | undefined {
  return userNamespaceProblem(readUserNamespaceFacts(proc.kernelRelease()), idSpace);
}

interface Served {
  readonly workers: PodWorkers;
  readonly collector: ImageCollector;
  readonly probeCounts: ProbeCounts;
  readonly counts: KubeletCounts;
  readonly runtimeCounts: RuntimeCounts;
  readonly plugins: Pick<NodePlugins, 'counts' | 'volumeCounts'>;
  readonly assignments: NodeAssignments | undefined;
}

/** The node's port. Who may call it, the API server says. */
function startServer(
  options: KubeletOptions,
  { workers, collector, probeCounts, counts, runtimeCounts, plugins, assignments }: Served,
): Promise<KubeletServer> {
  const { runtime, clock, logger, nodeName, directories } = options;
  const { access = defaultAccess, ...listen } = options.server;
  const requests = new HttpCounts();
  const disks = new DiskUses(clock);
  const volumes = async (): Promise<readonly ClaimVolumeFacts[]> => {
    const found = await readVolumeStats(directories.pods, disks.measuring(plugins.volumeCounts));
    disks.forgetOthers();
    return [...found.values()].flat();
  };
  const reviews = createReviews({ client: options.informers.client, nodeName, clock });
  return startKubeletServer({
    ...listen,
    access: createAccess(access, reviews, logger),
    runtime,
    clock,
    logger,
    directories,
    pods: workers.pods,
    podByName: workers.podByName,
    readStats: createStatsReader({
      ...options,
      pods: workers.pods,
      volumeCounts: plugins.volumeCounts,
    }),
    config: configOf(options),
    flags: flagsOf(options),
    requests,
    applied: options.applied,
    networkFacts: options.networkFacts,
    probeMetrics: () => probeCounts.render(),
    metrics: async () =>
      requests.render() +
      ((await options.moreMetrics?.()) ?? '') +
      renderKubeletMetrics({
        nodeName,
        desired: workers.pods(),
        pods: runtime.observeAll(),
        ...{ counts, runtime: runtimeCounts },
        imagesRemoved: collector.removed,
        process: readProcess(clock.now()),
        volumes: await volumes(),
      }) +
      renderAssignments(assignments) +
      renderDeviceMetrics(plugins.counts) +
      renderVolumeMetrics(plugins.volumeCounts, workers.pods()),
  });
}

interface NodeParts {
  readonly server: KubeletServer;
  readonly pressure: NodePressure;
  readonly plugins: NodePlugins;
  readonly shutdown: NodeShutdown | undefined;
  readonly assignments: NodeAssignments | undefined;
}

async function readNode(
  options: KubeletOptions,
  { server, pressure: { conditions: pressed }, plugins: { csi, devices }, shutdown, assignments }: NodeParts,
): Promise<NodeInput> {
  const [machine, network, volumesInUse] = await Promise.all([
    readMachine(options.proc, options.directories.pods),
    options.network.status(),
    csi.volumes.volumesInUse(),
  ]);
  return {
    name: options.nodeName,
    ips: options.nodeIps,
    hostname: options.nodeName,
    labels: options.labels ?? {},
    isOfCloud: options.isOfCloud ?? false,
    volumesInUse,
    annotations: {
      [managedAttachAnnotation]: 'true',
      [volumesDirectoryAnnotation]: options.directories.volumes,
      [volumeSizesAnnotation]: 'not enforced: volumes are directories without quotas',
    },
    podsMax: podsMaxOf(options, machine.cpuCount),
    settings: options.settings ?? defaultSettings,
    pressed,
    kubeletPort: server.port,
    versions: options.versions,
    machine,
    images: options.runtime.images.list(),
    network,
    hasUserNamespaces: userNamespaceProblemOf(options) === undefined,
    givesCpus: assignments?.gives.cpus === true,
    handlers: options.runtime.handlers,
    ...(devices === undefined ? {} : { devices: devices.amounts() }),
    moreConditions: options.moreConditions?.() ?? [],
    runtimeProblem: shutdown?.isGoingDown === true ? shutdownProblem : options.runtime.problem?.(),
  };
}

/** What it was started with, by the kubelet's names. */
function flagsOf(options: KubeletOptions): Readonly<Record<string, string>> {
  const { imageGc = defaultImageGcPolicy } = options;
  const { access = defaultAccess, hosts, port } = options.server;
  return {
    address: hosts.join(','),
    'cloud-provider': options.isOfCloud === true ? 'external' : '',
    port: String(port),
    'anonymous-auth': String(access.anonymous),
    'authentication-token-webhook': String(access.tokenWebhook),
    'authorization-mode': access.mode,
    'cluster-dns': `[${options.clusterDns.join(',')}]`,
    'cluster-domain': options.clusterDomain,
    'hostname-override': options.nodeName,
    'image-gc-high-threshold': String(imageGc.highThresholdPercent),
    'image-gc-low-threshold': String(imageGc.lowThresholdPercent),
    'max-pods': String(options.podsMax ?? podsMaxDefault),
    'minimum-image-ttl-duration': formatDuration(imageGc.minAgeMs),
    'node-ip': options.nodeIps.join(','),
    'pod-max-pids': String(options.settings?.podPidsMax ?? -1),
  };
}

/** The part of KubeletConfiguration that has a meaning here. */
function configOf(options: KubeletOptions): Readonly<Record<string, unknown>> {
  const { imageGc = defaultImageGcPolicy } = options;
  const { access = defaultAccess } = options.server;
  const { settings = defaultSettings } = options;
  return {
    ...options.configuration,
    kind: 'KubeletConfiguration',
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    address: options.server.hosts[0],
    port: options.server.port,
    maxPods: options.podsMax ?? podsMaxDefault,
    podPidsLimit: settings.podPidsMax ?? -1,
    clusterDNS: options.clusterDns,
    clusterDomain: options.clusterDomain,
    nodeStatusUpdateFrequency: formatDuration(settings.statusUpdateMs),
    nodeStatusReportFrequency: formatDuration(settings.statusReportMs),
    nodeLeaseDurationSeconds: settings.leaseSeconds,
    nodeStatusMaxImages: settings.imagesInStatusMax,
    seccompDefault: settings.isSeccompDefault,
    allowedUnsafeSysctls: settings.allowedUnsafeSysctls,
    containerLogMonitorInterval: formatDuration(settings.logMonitorMs),
    evictionPressureTransitionPeriod: formatDuration(settings.eviction.transitionMs),
    userNamespaces: { idsPerPod: settings.idsPerPod },
    crashLoopBackOff: { maxContainerRestartPeriod: formatDuration(settings.restartBackoffMaxMs) },
    imageMinimumGCAge: formatDuration(imageGc.minAgeMs),
    imageMaximumGCAge: formatDuration(imageGc.maxAgeMs),
    imageGCHighThresholdPercent: imageGc.highThresholdPercent,
    imageGCLowThresholdPercent: imageGc.lowThresholdPercent,
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    cgroupDriver: 'cgroupfs',
    authentication: {
      anonymous: { enabled: access.anonymous },
      webhook: { enabled: access.tokenWebhook, cacheTTL: formatDuration(cacheTimes.tokenMs) },
    },
    authorization: {
      mode: access.mode,
      webhook: {
        cacheAuthorizedTTL: formatDuration(cacheTimes.allowedMs),
        cacheUnauthorizedTTL: formatDuration(cacheTimes.deniedMs),
      },
    },
  };
}
