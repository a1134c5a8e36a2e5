/** What the workers of a node's pods act on, wired. */
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { serviceAccounts, services } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { withRemedy } from '#client/remedy.ts';
import type { NodeDevices } from '#agent/device/node-devices.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import type { EndpointRetraction } from '#agent/proxy/retraction/retraction.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { createClaimObjects } from '#agent/volume/claims/claim-objects.ts';
import { volumesMadeBy } from '#agent/volume/claims/keep-local-volumes.ts';
import { createLocalVolumes } from '#agent/volume/claims/local-volumes.ts';
import { kubeletView } from '#agent/volume/csi/kubelet-view.ts';
import type { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import { createPodVolumes, type PodVolumes } from '#agent/volume/pod-volumes.ts';
import { createPodCertificates } from '#agent/volume/certificates/pod-certificates.ts';
import { createTokens } from '#agent/volume/tokens.ts';
import type { AppArmor } from '#agent/node/apparmor.ts';
import type { PodHealths } from '#agent/kubelet/ports.ts';
import type { PodClaims } from '#agent/device/claims/pod-claims.ts';
import type { CsiVolumes, Mounter } from '#agent/volume/volume.ts';
import { createImagePuller, type ImagePulls } from '#agent/kubelet/apply/image-puller.ts';
import type { CredentialProvider } from '#agent/kubelet/images/credentials/provider-config.ts';
import {
  createImageCredentials,
  type ImageCredentials,
} from '#agent/kubelet/images/credentials/providers.ts';
import type { PulledImages } from '#agent/kubelet/images/pulled/pulled-images.ts';
import { createPodEvents, podNames, type PodEvents } from './pod-events.ts';
import { allocatedPod, type PodMemories } from './pod-memory.ts';
import { createNodeDisk } from '#agent/kubelet/apply/node-disk.ts';
import type { PodDisk } from '#agent/kubelet/pod-disk.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import type { PodSources } from '#agent/kubelet/static/pod-sources.ts';
import type { NodeAssignments } from '#agent/kubelet/assign/node-assignments.ts';
import { repeat, type Repeated } from '#agent/kubelet/cgroups/repeat.ts';
import type { NodeShutdown } from '#agent/kubelet/shutdown/node-shutdown.ts';
import { holdersOf, keepPlacements } from '#agent/kubelet/assign/keep-placements.ts';
import type { NodePressure } from '#agent/kubelet/evict/node-pressure.ts';
import type { SyncPorts } from './pod-sync.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import type { KubeletCounts } from '#agent/kubelet/stats/kubelet-counts.ts';
import type { ProbeCounts } from '#agent/kubelet/probe/probe-counts.ts';
import type { Reach } from '#agent/kubelet/probe/handler.ts';
import { createProber, type Prober } from '#agent/kubelet/probe/prober.ts';
import { createReferencedObjects, type ReferencedObjects } from '#agent/kubelet/referenced-objects.ts';
import { createStatusWriter } from '#agent/kubelet/status/status-writer.ts';

/** How images are pulled; undefined members: as podwright does by itself. */
export interface ImagePullSettings extends Pick<ImagePulls, 'atOnceMax'> {
  readonly providers?: readonly CredentialProvider[] | undefined;
}

export interface PodWorkersOptions {
  readonly probeCounts?: ProbeCounts;
  readonly counts?: KubeletCounts;
  /** Its client is the kubelet's; the pods of this node and all Services are watched through it. */
  readonly informers: Informers;
  readonly runtime: Runtime;
  readonly mounter: Mounter;
  /** Undefined: no drivers of devices serve this node. */
  readonly claims?: PodClaims | undefined;
  readonly claimHealths?: PodHealths | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  /** Undefined: the one that they are on. */
  readonly disk?: PodDisk;
  /** Undefined: directories and mounts of this machine. */
  readonly volumes?: (objects: ReferencedObjects) => PodVolumes;
  /** Who answers probes and hooks by network; undefined: whoever has the pod's address. */
  readonly reach?: Reach;
  readonly node: Omit<NodeFacts, 'hostsFile'>;
  /** Addresses of the cluster DNS; none: pods resolve as the node does. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly hostNames: HostNames;
  readonly retraction?: EndpointRetraction | undefined;
  /** Volumes of drivers; undefined: this node takes none. */
  readonly csi?: CsiVolumes;
  readonly volumeCounts?: VolumeCounts;
  readonly imagePulls?: ImagePullSettings | undefined;
  /** Undefined: whoever finds an image may use it. */
  readonly pulled?: PulledImages | undefined;
  /** Undefined: nobody looks at what the node is short of. */
  readonly pressure?: NodePressure;
  /** Undefined: the kernel has no AppArmor. */
  readonly appArmor?: AppArmor | undefined;
  /** Undefined: nobody has devices for pods. */
  readonly devices?: NodeDevices | undefined;
  /** Undefined: no container has CPUs or memory for itself. */
  readonly assignments?: { readonly given: NodeAssignments; readonly everyMs: number } | undefined;
  /** Weighs the classes of pods against each other; undefined: there are no cgroups. */
  readonly weighClasses?: ((pods: readonly Pod[]) => Promise<void>) | undefined;
  readonly shutdown?: NodeShutdown | undefined;
  /** A directory of manifests, or one, and how often it is read anyway; undefined: there are none. */
  readonly staticPods?: { readonly path: string; readonly checkMs: number };
}

export interface SyncParts {
  readonly memories: PodMemories;
  readonly queue: KeyedQueue<string>;
  readonly podInformer: WritableInformer<Pod>;
  readonly sources: Pick<PodSources, 'objectOf'>;
  readonly recorder: Pick<EventRecorder, 'record'>;
  readonly undo: AsyncDisposableStack;
}

function countedBy({ counts, clock }: PodWorkersOptions): Pick<SyncPorts, 'onSeen' | 'onOutcome'> {
  if (counts === undefined) return {};
  return {
    onSeen: (pod) => counts.seen(pod),
    onOutcome: (outcome, pod, facts) => counts.count(outcome, pod, { facts, nowMs: clock.now() }),
  };
}

/** The kubelet's own parts beside what it was given, each disposed with `undo`. */
export function createSyncPorts(options: PodWorkersOptions, parts: SyncParts): SyncPorts {
  const { informers, runtime, clock, logger, directories, mounter } = options;
  const { memories, queue, podInformer, sources, recorder, undo } = parts;
  const { client } = informers;
  const events = createPodEvents(recorder, logger);
  const enqueue = (uid: string, afterMs = 0): void => queue.addAfter(uid, afterMs);
  const objects = undo.use(
    createReferencedObjects({
      informers,
      clock,
      onChange: (uid) => {
        if (memories.get(uid)?.report({ kind: 'objectChanged' }) === true) queue.add(uid);
      },
    }),
  );
  const statusWriter = undo.use(
    createStatusWriter({
      client,
      clock,
      podOf: (uid) => presentPod(uid, memories, sources),
      onWritten: (uid, pod) => {
        podInformer.observe(pod);
        queue.add(uid);
        options.shutdown?.statusWritten(uid, pod);
      },
      onError: tellRetry(logger, memories, 'status not written'),
    }),
  );
  const prober = undo.use(createTellingProber(options, { events, memories, queue }));
  const volumes = options.volumes?.(objects) ?? createVolumes(options, objects);
  const assignments = assignmentsOf(options, parts);
  const credentials = credentialsOf(options);
  const classes = classesOf(options, parts);
  return {
    client,
    runtime,
    volumes,
    ...{ claims: options.claims, claimHealths: options.claimHealths },
    appArmor: options.appArmor,
    mounter,
    objects,
    services: () => informers.for(services).list(),
    retraction: options.retraction,
    devices: options.devices,
    puller: createImagePuller(runtime.images, { ...options.imagePulls, credentials, clock }),
    pulled: options.pulled,
    imageCredentials: credentials,
    events,
    clock,
    logger,
    ...(options.reach === undefined ? {} : { reach: options.reach }),
    directories,
    disk: options.disk ?? createNodeDisk(directories),
    ...nodeOf(options),
    neighbours: (uid) =>
      [...memories.values()]
        .filter(
          (other) => other.uid !== uid && other.desired.isPresent && other.facts.rejection === undefined,
        )
        .map(allocatedPod),
    enqueue,
    ...countedBy(options),
    prober,
    statusWriter,
    assignments,
    ...(classes === undefined ? {} : { podsChanged: () => classes.refresh() }),
  };
}

/** Of the programs that the node's owner named. */
function credentialsOf({
  imagePulls,
  informers,
  clock,
  logger,
}: PodWorkersOptions): ImageCredentials | undefined {
  const { providers = [] } = imagePulls ?? {};
  if (providers.length === 0) return undefined;
  const { client } = informers;
  const tokens = createTokens({ client, clock });
  return createImageCredentials(providers, {
    ...{ clock, logger },
    token: async (pod, audience) =>
      (await tokens.get({ pod, audience, expirationSeconds: tokenSeconds })).token,
    serviceAccount: async (namespace, name) => {
      const { metadata } = await client.get(serviceAccounts, { namespace, name });
      return { uid: metadata?.uid ?? '', annotations: metadata?.annotations ?? {} };
    },
  });
}

/** The least that is given (serviceaccount tokens, 10 minutes), as the kubelet asks for these. */
const tokenSeconds = 600;

/** Weights of the classes follow the pods; looked at once a minute anyway, as the kubelet does. */
const classesEveryMs = 60_000;

function classesOf(
  { weighClasses, clock, logger }: PodWorkersOptions,
  { memories, undo }: SyncParts,
): Repeated | undefined {
  if (weighClasses === undefined) return undefined;
  const work = (): Promise<void> => weighClasses([...memories.values()].map(({ desired }) => desired.pod));
  const loop = undo.use(
    repeat({ clock, logger, everyMs: classesEveryMs }, 'classes of pods are not weighed', work),
  );
  loop.refresh();
  return loop;
}

function assignmentsOf(
  { assignments, runtime, clock, logger }: PodWorkersOptions,
  { memories, undo }: SyncParts,
): SyncPorts['assignments'] {
  if (assignments === undefined) return undefined;
  const { given, everyMs } = assignments;
  const placements = undo.use(
    keepPlacements({ assignments: given, memories, ports: { runtime, clock, logger }, everyMs }),
  );
  return {
    aligns: given.aligns,
    written: () => given.written(),
    admit: (pod) => {
      const refusal = given.admit(pod, holdersOf(memories, { runtime }));
      placements.refresh();
      return refusal;
    },
  };
}

/** As the API has it; undefined for what it no longer has. */
function presentPod(
  uid: string,
  memories: PodMemories,
  sources: Pick<PodSources, 'objectOf'>,
): Pod | undefined {
  const desired = memories.get(uid)?.desired;
  return desired?.isPresent === true ? sources.objectOf(desired.pod) : undefined;
}

/** The volumes of pods, with what they ask of the API. */
function createVolumes(
  { informers, clock, directories, mounter, node, csi, volumeCounts }: PodWorkersOptions,
  objects: ReferencedObjects,
): PodVolumes {
  const { client } = informers;
  const tokens = createTokens({ client, clock });
  const certificates = createPodCertificates({ client, clock, nodeName: node.name });
  const made = volumesMadeBy(node.name, informers);
  const claims = createClaimObjects({
    client,
    nodeName: node.name,
    podsDirectory: directories.pods,
    localVolumes: createLocalVolumes({ directory: directories.volumes, nodeName: node.name }),
    madeHere: (name) => made.get(name),
    seen: node.seen,
  });
  return createPodVolumes({
    directory: directories.pods,
    memoryDirectory: directories.podsMemory,
    mounter,
    view: kubeletView(directories.kubelet),
    unmountPod: csi?.unmountPod,
    onForced: csi?.unstageSoon,
    allocatable: node.allocatable,
    counts: volumeCounts,
    objects: (podUid) => ({
      ...claims,
      csi,
      configMap: (namespace, name) => objects.configMap(podUid, namespace, name),
      secret: (namespace, name) => objects.secret(podUid, namespace, name),
      trustBundles: () => objects.trustBundles(podUid),
      serviceAccountToken: (wish) => tokens.get(wish),
      podCertificate: (wish) => certificates.get(wish),
    }),
  });
}

/** Probes whose every failure is an event. */
function createTellingProber(
  { runtime, clock, probeCounts, reach }: PodWorkersOptions,
  { events, memories, queue }: Pick<SyncParts, 'memories' | 'queue'> & { readonly events: PodEvents },
): Prober {
  return createProber({
    runtime,
    clock,
    ...(reach === undefined ? {} : { reach }),
    ...(probeCounts === undefined ? {} : { counts: probeCounts }),
    report: (uid, outcome) => {
      const isChanged = memories.get(uid)?.report(outcome) === true;
      if (isChanged && outcome.kind === 'probed') queue.add(uid);
    },
    tell: ({ pod, container }, type, { reason, message }) => {
      const isQuoting = container[`${type}Probe`]?.exec !== undefined;
      const place = { container: container.name, isQuoting };
      events.warning(pod, reason, message, place);
      events.release();
    },
  });
}

/** Who the node is to its pods, each time with the host's files as they are then. */
function nodeOf({
  hostNames,
  clusterDns,
  clusterDomain,
  node,
}: PodWorkersOptions): Pick<SyncPorts, 'dns' | 'node'> {
  return {
    dns: {
      clusterDns,
      clusterDomain,
      get hostResolvConf() {
        return hostNames.resolvConf();
      },
    },
    node: {
      ...node,
      get hostsFile() {
        return hostNames.hosts();
      },
    },
  };
}

/** One line for each failure of what is tried again. */
export function tellRetry(
  logger: Logger,
  memories: PodMemories,
  message: string,
): (uid: string, error: unknown, retryMs: number) => void {
  return (uid, error, retryMs) => {
    const names = podNames(memories.get(uid)?.desired.pod, uid);
    logger.warn({ ...names, error: describeError(error), retryMs, ...withRemedy(error) }, message);
  };
}
