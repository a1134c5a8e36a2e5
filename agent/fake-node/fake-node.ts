/** One fake node: the kubelet's own workers, status and lease, on a runtime that only tells. */
import { createHash } from 'node:crypto';
import type { Node, Pod, Taint } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Informers } from '#client/informers.ts';
import { defaultSettings, type KubeletSettings } from '#agent/kubelet/config/settings.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import type { HandlerTarget, Reach } from '#agent/kubelet/probe/handler.ts';
import { startPodWorkers, type PodWorkers } from '#agent/kubelet/sync/pod-workers.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import { startNodeAgent, type NodeAgent } from '#agent/node/node-agent.ts';
import { allocatableOf, type NodeInput } from '#agent/node/node-status.ts';
import { behaviourOf } from '#agent/runtime/fake-shell.ts';
import { startFakeSession, type FakePlace } from './fake-session.ts';
import { createFakeRuntime, type FakeRuntime, type FakeRuntimeOptions } from '#agent/runtime/runtime.fake.ts';
import type { ContainerConfig, ExecRequest, ExecSession } from '#agent/runtime/runtime.ts';
import { createFakeMounter } from '#agent/volume/mounter.fake.ts';
import { createFakeDisk, createFakeVolumes, type FakeLogs } from './fake-disk.ts';
import { createPodAddresses, type PodAddresses } from './pod-addresses.ts';
import { planBehaviour, probeFailure, usageOf, type ProbeKind } from './steering.ts';

/** What a fake node says that it is. */
export interface NodeShape {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly podsMax: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

export interface FakeNodeOptions {
  readonly name: string;
  readonly shape: NodeShape;
  /** The kubelet's: watches that are shared, and whose client knows the Node. */
  readonly informers: Informers;
  readonly podNamed: (namespace: string, name: string) => Pod | undefined;
  readonly node: () => Node | undefined;
  /** Where logs, exec and stats of the node are to be had. */
  readonly endpoint: { readonly ips: readonly string[]; readonly port: number };
  readonly logs: FakeLogs;
  readonly directories: KubeletDirectories;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly versions: NodeInput['versions'];
  readonly leaseSeconds: number;
}

export interface FakeNode extends AsyncDisposable {
  readonly name: string;
  readonly machine: MachineFacts;
  readonly startedAtMs: number;
  readonly runtime: FakeRuntime;
  readonly workers: PodWorkers;
  readonly registered: Promise<Node>;
  /** The Node object is another now. */
  nodeChanged(): void;
}

/** Where metrics-server finds what a node uses, of several behind one port (its scraper since 0.7). */
const metricsPathAnnotation = 'metrics.k8s.io/resource-metrics-path';

/** A node that nobody else writes to looks at itself now and then. */
const statusUpdateMs = 60_000;
/** Of pods that are being put on a node that is not: what they need to resolve names is not there either. */
const noNames: HostNames = { hosts: () => '', resolvConf: () => '', nameservers: () => [] };

export async function startFakeNode(options: FakeNodeOptions): Promise<FakeNode> {
  const { name, shape, informers, clock, logger, directories } = options;
  await using undo = new AsyncDisposableStack();

  const machine = machineOf(name, shape);
  const startedAtMs = clock.now();
  const addresses = createPodAddresses();
  const runtime = undo.use(createFakeRuntime(runtimeOptions(options, addresses)));
  const settings = settingsOf(options);
  const agent = undo.use(startAgent(options, { machine, settings, runtime, addresses }));
  const workers = undo.use(
    await startPodWorkers({
      informers,
      runtime,
      clock,
      logger,
      directories,
      mounter: createFakeMounter(),
      disk: createFakeDisk(options.logs),
      volumes: (objects) => createFakeVolumes({ client: informers.client, objects }),
      reach: reachOf(options, runtime),
      node: {
        name,
        ips: options.endpoint.ips,
        allocatable: allocatableOf(machine, settings),
        memoryBytes: shape.memoryBytes,
        podPidsMax: undefined,
        isSelinuxEnabled: false,
        userNamespaceProblem: undefined,
        podsMax: shape.podsMax,
      },
      clusterDns: [],
      clusterDomain: 'cluster.local',
      hostNames: noNames,
    }),
  );
  const owned = undo.move();
  let cidrs = '';
  return {
    name,
    machine,
    startedAtMs,
    runtime,
    workers,
    registered: agent.registered,
    nodeChanged: () => {
      const { podCIDRs = [], podCIDR } = options.node()?.spec ?? {};
      const given = podCIDRs.length > 0 ? podCIDRs : podCIDR === undefined ? [] : [podCIDR];
      if (given.join() === cidrs) return;
      cidrs = given.join();
      addresses.setRanges(given);
      agent.refresh();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function settingsOf({ shape, leaseSeconds }: FakeNodeOptions): KubeletSettings {
  return { ...defaultSettings, taints: shape.taints, leaseSeconds, statusUpdateMs };
}

function machineOf(name: string, shape: NodeShape): MachineFacts {
  const id = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return {
    cpuCount: shape.cpuCount,
    memoryBytes: shape.memoryBytes,
    memoryAvailableBytes: shape.memoryBytes,
    diskBytes: shape.diskBytes,
    diskAvailableBytes: shape.diskBytes,
    pidsMax: 4_194_304,
    pidsUsed: 1,
    machineId: id,
    systemUuid: id,
    bootId: id,
    kernelRelease: 'fake',
    osImage: 'podwright fake node',
    architecture: 'amd64',
  };
}

interface AgentParts {
  readonly machine: MachineFacts;
  readonly settings: KubeletSettings;
  readonly runtime: FakeRuntime;
  readonly addresses: PodAddresses;
}

function startAgent(
  { name, shape, informers, clock, logger, endpoint, versions }: FakeNodeOptions,
  { machine, settings, runtime, addresses }: AgentParts,
): NodeAgent {
  const read = async (): Promise<NodeInput> => ({
    name,
    ips: endpoint.ips,
    hostname: name,
    labels: shape.labels,
    annotations: { [metricsPathAnnotation]: `/nodes/${name}/metrics/resource` },
    podsMax: shape.podsMax,
    kubeletPort: endpoint.port,
    versions,
    machine,
    images: runtime.images.list(),
    network: { isReady: addresses.isReady, reason: 'the node has no podCIDR yet' },
    hasUserNamespaces: true,
    handlers: new Map([['', { recursiveReadOnlyMounts: true, userNamespaces: true }]]),
    settings,
    pressed: new Set(),
    runtimeProblem: undefined,
  });
  return startNodeAgent({ client: informers.client, clock, logger, name, read, times: settings });
}

/** Containers as their pods' annotations say, of the pod as it is now. */
function runtimeOptions(options: FakeNodeOptions, addresses: PodAddresses): FakeRuntimeOptions {
  const { clock, logs, podNamed } = options;
  const names = new Map<string, readonly [namespace: string, name: string]>(); // by uid
  const podOf = (uid: string): Pod => {
    const [namespace = '', name = ''] = names.get(uid) ?? [];
    return podNamed(namespace, name) ?? {};
  };
  const placeOf = (uid: string, config: ContainerConfig): FakePlace => ({
    hostname: podOf(uid).spec?.hostname ?? names.get(uid)?.[1] ?? '',
    env: config.env,
    workingDir: config.workingDir,
    uid: config.user.uid,
  });
  return {
    clock,
    isSilent: true,
    hasEveryImage: true,
    addressesOf: ({ uid, namespace, name }) => {
      names.set(uid, [namespace, name]);
      return addresses.take(uid);
    },
    onRemoved: (uid) => {
      names.delete(uid);
      addresses.free(uid);
    },
    behave: (config, uid) => planBehaviour(podOf(uid), config, placeOf(uid, config)),
    usageOf: ({ name }, uid) => usageOf(podOf(uid), name),
    log: ({ stdio }, text) => {
      if (stdio.logPath !== undefined) logs.write(stdio.logPath, text);
    },
    session: (uid, config, request) =>
      sessionOf({ pod: podOf(uid), config, request }, placeOf(uid, config), clock),
  };
}

interface Asked {
  readonly pod: Pod;
  readonly config: ContainerConfig;
  readonly request: ExecRequest;
}

/** Probes and hooks end as they are told to; people have a shell. */
function sessionOf({ pod, config, request }: Asked, place: FakePlace, clock: Clock): ExecSession {
  if (request.isCollected !== true) return startFakeSession(request, place, clock);
  const exitCode = behaviourOf(request.args).exitCode ?? 0;
  const container = pod.spec?.containers.find(({ name }) => name === config.name);
  const isOf = (kind: ProbeKind): boolean =>
    JSON.stringify(container?.[`${kind}Probe`]?.exec?.command) === JSON.stringify(request.args);
  const kind = (['readiness', 'liveness', 'startup'] as const).find(isOf);
  const failure =
    kind === undefined ? undefined : probeFailure(pod, config.name, kind, ranMsOf(pod, config, clock));
  const args =
    failure === undefined
      ? ['sh', '-c', `exit ${exitCode}`]
      : ['sh', '-c', `echo '${failure.replaceAll("'", '')}'; exit 1`];
  return startFakeSession({ ...request, args }, place, clock);
}

function ranMsOf({ status }: Pod, { name }: ContainerConfig, clock: Clock): number {
  const running = status?.containerStatuses?.find((each) => each.name === name)?.state?.running;
  return running?.startedAt === undefined ? 0 : clock.now() - Date.parse(running.startedAt);
}

/** Nobody has the pods' addresses: what is asked over the network is answered as the annotations say. */
function reachOf({ podNamed, clock }: FakeNodeOptions, runtime: FakeRuntime): Reach {
  return async (action, target) => {
    const { metadata } = target.pod;
    const pod = podNamed(metadata?.namespace ?? '', metadata?.name ?? '') ?? target.pod;
    const run = runtime.observe(metadata?.uid ?? '')?.containers.find(({ id }) => id === target.containerId);
    const ranMs = run?.state.state === 'running' ? clock.now() - run.state.startedAtMs : 0;
    const kind = kindOf(action, target);
    const failure = kind === undefined ? undefined : probeFailure(pod, target.container.name, kind, ranMs);
    return failure === undefined ? { isSuccess: true, output: '' } : { isSuccess: false, output: failure };
  };
}

/** Undefined: a hook. Readiness first: one of two that ask the same is more often that. */
function kindOf(
  { httpGet, tcpSocket, grpc }: Parameters<Reach>[0],
  { container }: HandlerTarget,
): ProbeKind | undefined {
  return (['readiness', 'liveness', 'startup'] as const).find((kind) => {
    const probe = container[`${kind}Probe`];
    return (
      probe !== undefined && probe.httpGet === httpGet && probe.tcpSocket === tcpSocket && probe.grpc === grpc
    );
  });
}
