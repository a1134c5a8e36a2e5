import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createRecordedLog, type RecordedLine } from '#base/recorded-log.fixture.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { createFakeRuntime, type FakeRuntime, type FakeRuntimeOptions } from '#agent/runtime/runtime.fake.ts';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';
import { createFakeMounter, type FakeMounter } from '#agent/volume/mounter.fake.ts';
import { startPodWorkers, type PodWorkers } from './sync/pod-workers.ts';
import type { PodWorkersOptions } from './sync/sync-ports.ts';

/** A node without a kernel: fake API server, fake runtime, real kubelet, time that tests move. */
export interface TestNode extends AsyncDisposable {
  readonly client: FakeApiClient;
  readonly runtime: FakeRuntime;
  readonly clock: FakeClock;
  readonly mounter: FakeMounter;
  readonly directory: string;
  readonly kubelet: PodWorkers;
  /** What the node's log says. */
  readonly lines: readonly RecordedLine[];
  /** What every container was started with, oldest first. */
  readonly startedConfigs: readonly ContainerConfig[];
  /** Stops the kubelet, lets `meanwhile` happen, and starts another on the same runtime and API server. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
  create(name: string, spec: Partial<PodSpec>, more?: Pod): Pod;
  get(name: string): Pod | undefined;
  /** Lets everything that can happen now happen. */
  settle(): Promise<void>;
  advance(ms: number): Promise<void>;
}

export const startMs: number = Date.parse('2026-01-01T00:00:00Z');

const nodeFacts = {
  name: 'node-1',
  ips: ['192.0.2.10'],
  allocatable: { cpuMilli: 2000, memoryBytes: 4e9, storageBytes: 1e10 },
  memoryBytes: 4e9,
  podPidsMax: undefined,
  isSelinuxEnabled: false,
  userNamespaceProblem: undefined,
  podsMax: 110,
};

export async function startTestNode({
  retraction,
  ...options
}: Partial<FakeRuntimeOptions> &
  Pick<PodWorkersOptions, 'retraction' | 'pressure' | 'claims' | 'devices'> & {
    readonly hasStaticPods?: boolean;
    readonly workers?: Partial<PodWorkersOptions>;
    readonly facts?: Partial<PodWorkersOptions['node']>;
  } = {}): Promise<TestNode> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kubelet-'));
  const clock = createFakeClock(startMs);
  const client = createFakeApiClient(clock);
  const startedConfigs: ContainerConfig[] = [];
  const { log, lines } = createRecordedLog();
  const behave: FakeRuntimeOptions['behave'] = (config, uid) => {
    startedConfigs.push(config);
    return options.behave?.(config, uid);
  };
  const runtime = createFakeRuntime({ clock, ...options, behave });
  const mounter = createFakeMounter();
  runtime.images.add('busybox');
  let informers: Informers = createInformers({ client, clock, random: () => 0.5 });
  const start = (): Promise<PodWorkers> =>
    startPodWorkers({
      informers,
      runtime,
      mounter,
      clock,
      logger: log,
      directories: {
        pods: path.join(directory, 'pods'),
        podsMemory: path.join(directory, 'memory'),
        kubelet: path.join(directory, 'kubelet'),
        volumes: path.join(directory, 'volumes'),
        logs: path.join(directory, 'logs'),
      },
      node: { ...nodeFacts, ...options.facts },
      ...options.workers,
      retraction,
      claims: options.claims,
      devices: options.devices,
      ...(options.pressure === undefined ? {} : { pressure: options.pressure }),
      ...(options.hasStaticPods === true
        ? { staticPods: { path: path.join(directory, 'manifests'), checkMs: 20_000 } }
        : {}),
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      hostNames: {
        hosts: () => '127.0.0.1 localhost\n',
        resolvConf: () => 'nameserver 192.0.2.1\n',
        nameservers: () => ['192.0.2.1'],
      },
    });
  let kubelet = await start();
  const settle = async (): Promise<void> => {
    for (let before = -1; ;) {
      await kubelet.idle();
      await untilQuiet();
      const count = client.writes.length + runtime.calls.length;
      if (count === before) return;
      before = count;
    }
  };
  return {
    client,
    runtime,
    clock,
    mounter,
    directory,
    startedConfigs,
    lines,
    get kubelet() {
      return kubelet;
    },
    restart: async (meanwhile) => {
      await kubelet[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await meanwhile?.();
      informers = createInformers({ client, clock, random: () => 0.5 });
      kubelet = await start();
    },
    create: (name, spec, more = {}) =>
      client.seed(pods, {
        ...more,
        metadata: { name, namespace: 'default', ...more.metadata },
        spec: {
          containers: [{ name: 'main', image: 'busybox' }],
          nodeName: 'node-1',
          restartPolicy: 'Always',
          ...spec,
        },
      }),
    get: (name) => client.all(pods).find((pod) => pod.metadata?.name === name),
    settle,
    advance: async (ms) => {
      clock.advance(ms);
      await settle();
    },
    [Symbol.asyncDispose]: async () => {
      await kubelet[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
