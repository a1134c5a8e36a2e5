import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { formatDuration } from '#api/meta/duration.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import { readDisk, readMachine } from '#agent/node/machine.ts';
import { startNodeAgent } from '#agent/node/node-agent.ts';
import { isDiskLow, type NodeInput } from '#agent/node/node-status.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { createMounter } from '#agent/volume/mounter.ts';
import type { Mounts } from '#native/mount/mount.ts';
import type { Proc } from '#native/proc/proc.ts';
import { ImageCollector, watchImages } from './images/collect-images.ts';
import { defaultImageGcPolicy, type ImageGcPolicy } from './images/image-gc.ts';
import type { KubeletDirectories } from './pod-paths.ts';
import { startPodWorkers } from './sync/pod-workers.ts';
import { startKubeletServer, type KubeletServer, type KubeletTls } from './server/kubelet-server.ts';
import { ProbeCounts } from './probe/probe-counts.ts';
import { createStatsReader } from './stats/read-stats.ts';

export interface KubeletOptions {
  readonly nodeName: string;
  /** Addresses of the node, the first being its InternalIP and the hostIP of its pods. */
  readonly nodeIps: readonly string[];
  /** Labels beyond those that every node has. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Watches and client that are the kubelet's own. */
  readonly informers: Informers;
  readonly runtime: Runtime;
  readonly network: Pick<PodNetwork, 'status'>;
  readonly mounts: Mounts;
  readonly proc: Pick<Proc, 'memory' | 'cpuCount' | 'bootId' | 'kernelRelease'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  /** Addresses of the cluster DNS; none: pods resolve as the node does. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly server: { readonly host: string; readonly port: number; readonly tls: KubeletTls };
  /** `v1.36.2+podwright-0.1.0`, `podwright://0.1.0` */
  readonly versions: NodeInput['versions'];
  /** kubelet's maxPods. */
  readonly podsMax?: number;
  /** kubelet's podPidsLimit; undefined: none. */
  readonly podPidsMax?: number;
  /** Undefined: the kubelet's defaults. */
  readonly imageGc?: ImageGcPolicy;
  /** Names of images that are never collected. */
  readonly pinnedImages?: readonly string[];
  readonly hostNames: HostNames;
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

export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { runtime, clock, logger, nodeName, directories } = options;
  await using undo = new AsyncDisposableStack();

  await Promise.all(
    [directories.pods, directories.podsMemory].map((d) => mkdir(d, { recursive: true, mode: 0o700 })),
  );
  const machine = await readMachine(options.proc, directories.pods);
  const probeCounts = new ProbeCounts();
  const workers = await startPodWorkers({
    probeCounts,
    informers: options.informers,
    runtime,
    mounter: createMounter(options.mounts),
    clock,
    logger,
    directories,
    node: {
      name: nodeName,
      ips: options.nodeIps,
      allocatable: {
        cpuMilli: machine.cpuCount * 1000,
        memoryBytes: machine.memoryBytes,
        storageBytes: machine.diskBytes,
      },
      memoryBytes: machine.memoryBytes,
      podPidsMax: options.podPidsMax,
      isSelinuxEnabled: existsSync('/sys/fs/selinux/enforce'),
      podsMax: options.podsMax ?? podsMaxDefault,
    },
    clusterDns: options.clusterDns,
    clusterDomain: options.clusterDomain,
    hostNames: options.hostNames,
  });
  undo.use(workers);
  const { collector, stop } = startImageCollection(options);
  undo.use(stop);
  const server = await startKubeletServer({
    ...options.server,
    runtime,
    clock,
    logger,
    directories,
    pods: workers.pods,
    podByName: workers.podByName,
    readStats: createStatsReader({ ...options, pods: workers.pods }),
    config: configOf(options),
    probeMetrics: () => probeCounts.render(),
    metrics: () => renderMetrics(workers.pods().length, runtime, collector),
  });
  undo.use(server);
  const agent = startNodeAgent({
    client: options.informers.client,
    clock,
    logger,
    name: nodeName,
    read: () => readNode(options, server),
  });
  undo.use(agent);
  const owned = undo.move();
  return {
    registered: agent.registered,
    port: server.port,
    setTls: (tls) => server.setTls(tls),
    refreshNode: () => agent.refresh(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Images that nothing uses make room before anything else has to go. */
function startImageCollection(options: KubeletOptions): {
  readonly collector: ImageCollector;
  readonly stop: AsyncDisposable;
} {
  const { runtime, clock, logger, nodeName, directories } = options;
  const { client } = options.informers;
  const recorder = createEventRecorder({ client, component: 'kubelet', host: nodeName, clock, logger });
  // As the kubelet refers to its node.
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
  const collector = new ImageCollector({
    runtime,
    policy: options.imageGc ?? defaultImageGcPolicy,
    pinned: options.pinnedImages ?? [],
    readDisk: () => readDisk(directories.pods),
    isPressed: ({ bytes, availableBytes }) =>
      isDiskLow({ diskBytes: bytes, diskAvailableBytes: availableBytes }),
    warn: (reason, message) => recorder.record({ kind: nodes, object: node }, 'Warning', reason, message),
    clock,
    logger,
  });
  const stop = new AsyncDisposableStack();
  stop.use(recorder);
  stop.use(watchImages(collector, { clock, logger }));
  return { collector, stop };
}

async function readNode(options: KubeletOptions, server: KubeletServer): Promise<NodeInput> {
  const [machine, network] = await Promise.all([
    readMachine(options.proc, options.directories.pods),
    options.network.status(),
  ]);
  return {
    name: options.nodeName,
    ips: options.nodeIps,
    hostname: options.nodeName,
    labels: options.labels ?? {},
    podsMax: options.podsMax ?? podsMaxDefault,
    kubeletPort: server.port,
    versions: options.versions,
    machine,
    images: options.runtime.images.list(),
    network,
    runtimeProblem: undefined, // It is in this process: while this runs, so does it.
  };
}

/** The part of KubeletConfiguration that has a meaning here. */
function configOf(options: KubeletOptions): Readonly<Record<string, unknown>> {
  const { imageGc = defaultImageGcPolicy } = options;
  return {
    kind: 'KubeletConfiguration',
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    address: options.server.host,
    port: options.server.port,
    maxPods: options.podsMax ?? podsMaxDefault,
    podPidsLimit: options.podPidsMax ?? -1,
    clusterDNS: options.clusterDns,
    clusterDomain: options.clusterDomain,
    nodeStatusUpdateFrequency: '10s',
    nodeStatusReportFrequency: '5m0s',
    nodeLeaseDurationSeconds: 40,
    imageMinimumGCAge: formatDuration(imageGc.minAgeMs),
    imageMaximumGCAge: formatDuration(imageGc.maxAgeMs),
    imageGCHighThresholdPercent: imageGc.highThresholdPercent,
    imageGCLowThresholdPercent: imageGc.lowThresholdPercent,
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    cgroupDriver: 'cgroupfs',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
  };
}

/** /metrics: what this kubelet knows of itself. */
function renderMetrics(podCount: number, runtime: Runtime, { removed }: ImageCollector): string {
  const containers = runtime.observeAll().flatMap((pod) => pod.containers.map(({ state }) => state.state));
  const count = (state: string): number => containers.filter((found) => found === state).length;
  const memory = process.memoryUsage();
  return [
    '# HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox',
    '# TYPE kubelet_running_pods gauge',
    `kubelet_running_pods ${runtime.observeAll().filter((pod) => pod.sandbox?.state === 'ready').length}`,
    '# HELP kubelet_desired_pods [ALPHA] The number of pods the kubelet is being instructed to run',
    '# TYPE kubelet_desired_pods gauge',
    `kubelet_desired_pods ${podCount}`,
    '# HELP kubelet_running_containers [ALPHA] Number of containers currently running',
    '# TYPE kubelet_running_containers gauge',
    ...['created', 'running', 'exited'].map(
      (state) => `kubelet_running_containers{container_state="${state}"} ${count(state)}`,
    ),
    '# HELP kubelet_image_garbage_collected_total [ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.',
    '# TYPE kubelet_image_garbage_collected_total counter',
    ...(['age', 'space'] as const).map(
      (reason) => `kubelet_image_garbage_collected_total{reason="${reason}"} ${removed[reason]}`,
    ),
    '# HELP process_resident_memory_bytes Resident memory size in bytes.',
    '# TYPE process_resident_memory_bytes gauge',
    `process_resident_memory_bytes ${memory.rss}`,
    '',
  ].join('\n');
}
