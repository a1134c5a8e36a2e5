import path from 'node:path';
import { mkdirSync } from 'node:fs';
import { silentLogger, type Logger } from '#base/log.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { gitVersion } from '#api/release.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers } from '#client/informers.ts';
import type { Transport } from '#client/transport.ts';
import { startNodeAgent } from '#agent/node/node-agent.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import { allocatableOf, type NodeInput } from '#agent/node/node-status.ts';
import { defaultSettings } from '#agent/kubelet/config/settings.ts';
import { startPodWorkers } from '#agent/kubelet/sync/pod-workers.ts';
import { createFakeRuntime, type FakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { createFakeMounter, type FakeMounter } from '#agent/volume/mounter.fake.ts';
import { fenceRuntime } from './fenced-runtime.ts';
import { NodeNetwork } from './pod-network.ts';
import { Program } from './program.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface SimulatedNodeOptions {
  readonly number: number;
  /** Its files, of the simulating machine. */
  readonly directory: string;
  readonly time: VirtualTime;
  readonly random: () => number;
  readonly transport: (program: Program) => Transport;
  readonly onContainerStart: (node: string, uid: string) => void;
  readonly logger: Logger;
}

const machine: MachineFacts = {
  cpuCount: 4,
  memoryBytes: 8 * 2 ** 30,
  memoryAvailableBytes: 7 * 2 ** 30,
  diskBytes: 2 ** 37,
  diskAvailableBytes: 2 ** 36,
  pidsMax: 32_768,
  pidsUsed: 100,
  machineId: 'simulated',
  systemUuid: 'simulated',
  bootId: 'simulated',
  kernelRelease: '6.12.0',
  osImage: 'simulated',
  architecture: 'amd64',
};

/** A node: its machine, which has a runtime, and the kubelet that may crash upon it. */
export class SimulatedNode {
  readonly name: string;
  readonly network: NodeNetwork = new NodeNetwork();
  readonly #options: SimulatedNodeOptions;
  runtime: FakeRuntime;
  program: Program | undefined;
  isUp = true;
  #machine: Program;
  #mounter: FakeMounter = createFakeMounter();

  constructor(options: SimulatedNodeOptions) {
    this.#options = options;
    this.name = `node-${options.number}`;
    mkdirSync(options.directory, { recursive: true });
    this.#machine = new Program(`${this.name} machine`, options.time);
    this.runtime = this.#boot();
  }

  #boot(): FakeRuntime {
    const { onContainerStart } = this.#options;
    this.#machine = new Program(`${this.name} machine`, this.#options.time);
    const runtime = createFakeRuntime({
      clock: this.#machine.clock,
      addressesOf: ({ uid }) => this.network.add(uid),
      onRemoved: (uid) => this.network.del(uid),
      isSilent: true,
      behave: (_config, uid) => {
        onContainerStart(this.name, uid);
        return undefined;
      },
    });
    runtime.images.add('busybox');
    runtime.images.serve('busybox');
    return runtime;
  }

  /** The kubelet starts, on what runs there. */
  start(): Program {
    const { time, transport } = this.#options;
    const program = new Program(this.name, time);
    this.program = program;
    const client = createApiClient({
      transport: transport(program),
      userAgent: `kubelet/${gitVersion} (linux/amd64) ${this.name}`,
    });
    const informers = createInformers({ client, clock: program.clock, random: this.#options.random });
    void this.#run(program, { client, informers }).catch((error: unknown) => {
      if (program.isAlive)
        this.#options.logger.error({ node: this.name, error: String(error) }, 'kubelet ended');
    });
    return program;
  }

  async #run(
    program: Program,
    {
      client,
      informers,
    }: {
      readonly client: ReturnType<typeof createApiClient>;
      readonly informers: ReturnType<typeof createInformers>;
    },
  ): Promise<void> {
    const { directory, logger } = this.#options;
    const { clock } = program;
    const number = this.#options.number;
    const own = informers.for(nodes, { fieldSelector: `metadata.name=${this.name}` });
    const agent = startNodeAgent({
      ...{ client, clock, logger, name: this.name, watched: own },
      read: async () => this.#read(),
    });
    // Its range comes with the Node object, as of a kubelet's network.
    own.onChange(({ current }) => {
      const cidr = current?.spec?.podCIDR;
      if (cidr === undefined || this.network.prefix !== undefined) return;
      this.network.prefix = cidr.replace(/\d+\/\d+$/, '');
      agent.refresh();
    });
    await startPodWorkers({
      informers,
      runtime: fenceRuntime(this.runtime, program, this.#options),
      mounter: this.#mounter,
      clock,
      logger,
      directories: {
        pods: path.join(directory, 'pods'),
        podsMemory: path.join(directory, 'memory'),
        kubelet: path.join(directory, 'kubelet'),
        volumes: path.join(directory, 'volumes'),
        logs: path.join(directory, 'logs'),
      },
      node: {
        name: this.name,
        ips: [`192.0.2.${10 + number}`],
        allocatable: allocatableOf(machine, defaultSettings),
        memoryBytes: machine.memoryBytes,
        podPidsMax: undefined,
        isSelinuxEnabled: false,
        userNamespaceProblem: undefined,
        podsMax: 110,
      },
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      hostNames: {
        hosts: () => '127.0.0.1 localhost\n',
        resolvConf: () => 'nameserver 192.0.2.1\n',
        nameservers: () => ['192.0.2.1'],
      },
    });
  }

  #read(): NodeInput {
    const { number } = this.#options;
    return {
      name: this.name,
      ips: [`192.0.2.${10 + number}`],
      hostname: this.name,
      labels: {},
      annotations: {},
      podsMax: 110,
      kubeletPort: 10_250,
      versions: { kubelet: gitVersion, runtime: 'fake://1' },
      machine,
      images: this.runtime.images.list(),
      network:
        this.network.prefix === undefined
          ? { isReady: false, reason: 'the node has no range of addresses' }
          : { isReady: true, reason: '' },
      hasUserNamespaces: false,
      handlers: new Map([['', { recursiveReadOnlyMounts: true, userNamespaces: true }]]),
      settings: defaultSettings,
      pressed: new Set(),
      runtimeProblem: undefined,
    };
  }

  crash(): void {
    this.program?.crash();
    this.program = undefined;
  }

  /** The machine goes off, and all that ran there with it. */
  powerOff(): void {
    this.crash();
    this.isUp = false;
    this.#machine.crash();
  }

  powerOn(): void {
    for (const { uid } of this.runtime.observeAll()) this.network.del(uid);
    this.#mounter = createFakeMounter();
    this.runtime = this.#boot();
    this.isUp = true;
    this.start();
  }
}

export const quietLogger: Logger = silentLogger;
