import path from 'node:path';
import { createRandom } from '#base/random.fixture.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { gitVersion } from '#api/release.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers, withoutManagedFields, type Informers } from '#client/informers.ts';
import type { Transport } from '#client/transport.ts';
import { startApiServer, type ApiServer, type ApiServerOptions } from '#control-plane/apiserver/server.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { startScheduler, type SchedulerOptions } from '#control-plane/scheduler/scheduler.ts';
import { versionsServed } from '#bin/options/runtime-config.ts';
import type { PlannedFault, Target } from '#test/simulation/faults/plan.ts';
import { behindOf, LateStatuses } from '#test/simulation/judge/late.ts';
import { Judge } from '#test/simulation/judge/invariants.ts';
import { MemoryDisc } from './memory-disc.ts';
import { SimulatedNode } from './node.ts';
import { Program } from './program.ts';
import { Trouble } from './trouble.ts';
import type { VirtualTime } from './virtual-time.ts';
import { createWire, type Bend, type ServedLife } from './wire.ts';

/** A mistake that is made on purpose, in how the world is put together. */
export interface Plant {
  readonly bend?: (target: Target | 'users', cluster: SimulatedCluster) => Bend | undefined;
  readonly isDiscHasty?: boolean;
  readonly server?: Partial<ApiServerOptions>;
  readonly scheduler?: Partial<SchedulerOptions>;
  readonly informers?: (informers: Informers) => Informers;
  readonly onAgentStart?: (node: SimulatedNode) => void;
}

export interface ClusterOptions {
  readonly time: VirtualTime;
  readonly seed: number;
  readonly nodes: number;
  /** Files of servers (their certificates) and nodes. */
  readonly directory: string;
  readonly say: (line: string) => void;
  readonly onFault: (fault: string) => void;
  /** What its disc begins with; undefined: nothing. */
  readonly disc?: MemoryDisc | undefined;
  readonly plant?: Plant | undefined;
  readonly logger?: Logger;
}

const restartMs = 500;
/** What the servers of worlds have: gangs, too. */
export const versionsOfWorlds: readonly ServedVersion[] = versionsServed({
  runtimeConfig: ['scheduling.k8s.io/v1alpha2=true'],
});

/** All programs of a cluster, each of which may crash by itself, on one clock. */
export class SimulatedCluster {
  readonly judge: Judge;
  readonly disc: MemoryDisc;
  readonly nodes: readonly SimulatedNode[];
  readonly trouble: Trouble;
  /** Of the users, whose network is well. */
  readonly users: ApiClient;
  readonly options: ClusterOptions;
  /** Caches of the loops that run now. */
  loopInformers: Informers | undefined;
  server: (ServedLife & { readonly api: ApiServer }) | undefined;
  readonly #random: () => number;
  readonly #ambiguous = new Map<string, number>();
  readonly #programs = new Map<Target, Program>();
  readonly #late = new LateStatuses();
  #isHealed = false;
  #servedSinceMs = Infinity;
  /** Of the store as a whole. */
  #disturbedMs = -Infinity;

  constructor(options: ClusterOptions) {
    const { time, seed, plant, nodes, directory } = options;
    this.options = options;
    this.#random = createRandom(seed ^ 0x00c1_0575);
    this.trouble = new Trouble(time);
    this.judge = new Judge({
      time,
      nodes: () => this.nodes,
      ambiguousAtMs: (target) => this.#ambiguous.get(target) ?? -Infinity,
      onFault: options.onFault,
    });
    this.disc = new MemoryDisc({
      time,
      random: createRandom(seed ^ 0x0d15_c000),
      isHasty: plant?.isDiscHasty ?? false,
      copyOf: options.disc,
      onDurable: (rows) => {
        for (const { row } of rows)
          options.say(`disc ${row.revision} ${row.deleted ? 'del' : 'put'} ${row.key}`);
        this.judge.durable(rows);
      },
    });
    this.nodes = Array.from(
      { length: nodes },
      (_, at) =>
        new SimulatedNode({
          number: at + 1,
          directory: path.join(directory, `node-${at + 1}`),
          ...{ time, random: this.#random, logger: options.logger ?? silentLogger },
          transport: (program) =>
            this.#wire(`node-${at + 1}`, program, {
              name: `system:node:node-${at + 1}`,
              groups: ['system:nodes', 'system:authenticated'],
            }),
          onContainerStart: (node, uid) => {
            options.say(`${node} starts a container of ${uid}`);
            this.judge.started(node, uid);
          },
        }),
    );
    const person = new Program('users', time);
    this.users = createApiClient({
      transport: this.#wire('users', person, {
        name: 'kubernetes-admin',
        groups: ['system:masters', 'system:authenticated'],
      }),
      userAgent: 'users/1',
    });
  }

  startAll(): void {
    this.#startServer();
    this.#startLoops();
    for (const node of this.nodes) this.#startAgent(node);
  }

  #wire(target: Target | 'users', program: Program, user: User): Transport {
    const { time, say, plant } = this.options;
    return createWire({
      ...{ target, program, time, say },
      random: this.#random,
      trouble: this.trouble,
      server: () => {
        const served = this.server;
        if (served === undefined) return undefined;
        return { program: served.program, request: (request) => served.api.transport(user).request(request) };
      },
      onAmbiguous: (name) => void this.#ambiguous.set(name, time.nowMs),
      onAcknowledged: (revision) => this.judge.acknowledged(revision),
      onTold: (revisions, after) => this.judge.told(revisions, { who: target, after }),
      bend: plant?.bend?.(target, this),
    });
  }

  #startServer(): void {
    const { time, directory, plant, logger = silentLogger } = this.options;
    const program = new Program('server', time);
    this.#programs.set('server', program);
    program.onCrash(() => {
      this.server = undefined;
    });
    startApiServer({
      dataDir: path.join(directory, 'server'),
      listeners: [],
      advertiseAddress: '192.0.2.1',
      advertisePort: 6443,
      versions: versionsOfWorlds,
      clock: program.clock,
      logger,
      openDisk: () => this.disc.open(program),
      ...plant?.server,
    }).then(
      (api) => {
        if (!program.isAlive) return;
        this.options.say('server serves');
        this.#servedSinceMs = time.nowMs;
        this.server = { program, api, request: (request) => api.transport().request(request) };
      },
      (error: unknown) => {
        if (!program.isAlive) return;
        this.options.say(`server does not start: ${String(error)}`);
        program.crash();
        this.#later(restartMs, () => this.#revive('server')); // Unless a fault that ends did so meanwhile.
      },
    );
  }

  #startLoops(): void {
    const { time, plant, logger = silentLogger } = this.options;
    const program = new Program('loops', time);
    this.#programs.set('loops', program);
    const clients = createOwnClients({ transport: (user) => this.#wire('loops', program, user) });
    const { clock } = program;
    const made = createInformers({
      client: clients.controllerManager,
      ...{ clock, logger, random: this.#random, transform: withoutManagedFields },
    });
    const informers = plant?.informers?.(made) ?? made;
    this.loopInformers = informers;
    startControllers({
      ...{ informers, clientAs: clients.controller, clock, logger },
      clusterCidrs: ['10.244.0.0/16'],
      rootCa: { pem: 'PEM' },
      hasPodGroups: true,
    });
    startScheduler({
      informers,
      client: clients.scheduler,
      clock,
      logger,
      hasPodGroups: true,
      ...plant?.scheduler,
    });
  }

  #startAgent(node: SimulatedNode): void {
    this.options.plant?.onAgentStart?.(node);
    this.#programs.set(targetOf(node), node.start());
  }

  /** Lets a fault happen, and what ends it be planned. */
  begin({ fault, seed }: PlannedFault): void {
    if (this.#isHealed) return;
    switch (fault.kind) {
      case 'crash': {
        const program = this.#programs.get(fault.target);
        program?.onCrash(() => {
          this.options.say(`${fault.target} crashes`);
          this.#later(fault.downMs, () => this.#revive(fault.target));
        });
        program?.crashAfter(fault.calls);
        return;
      }
      case 'reboot': {
        const node = this.nodes.find((one) => targetOf(one) === fault.target);
        if (node?.isUp !== true) return;
        node.powerOff();
        this.#later(fault.downMs, () => {
          if (node.isUp) return; // All was healed meanwhile.
          node.powerOn();
          this.#programs.set(targetOf(node), node.program ?? new Program('none', this.options.time));
        });
        return;
      }
      case 'cut':
        return this.trouble.cut(fault.target);
      case 'clock': {
        const program = this.#programs.get(fault.target);
        if (program === undefined) return;
        program.wallOffsetMs = fault.byMs;
        this.#later(fault.forMs, () => (program.wallOffsetMs = 0));
        return;
      }
      case 'compact':
        this.#disturbedMs = Math.max(this.#disturbedMs, this.options.time.nowMs);
        return this.#compact();
      case 'full':
        this.disc.fullUntilMs = this.options.time.nowMs + fault.forMs;
        this.#disturbedMs = Math.max(this.#disturbedMs, this.disc.fullUntilMs);
        return;
      default:
        this.trouble.begin(fault.target, fault, seed);
    }
  }

  /** Nothing of the past is kept: whoever resumes a watch from before has to list anew. */
  #compact(): void {
    const store = this.server?.api.store;
    store
      ?.compact(store.revision)
      .catch((error: unknown) => this.options.say(`not compacted: ${String(error)}`));
  }

  /** Nothing goes wrong any more: what is down comes up, clocks are right. */
  heal(): void {
    this.#isHealed = true;
    this.trouble.end();
    this.disc.fullUntilMs = 0;
    this.#disturbedMs = Math.min(this.#disturbedMs, this.options.time.nowMs);
    for (const program of this.#programs.values()) program.wallOffsetMs = 0;
    for (const [target, program] of this.#programs) {
      program.crashAfter(Infinity);
      if (!program.isAlive) this.#revive(target);
    }
  }

  /** The world is over: what would go on in the next, and keep this one in memory, ends. */
  end(): void {
    for (const node of this.nodes) node.powerOff();
    for (const program of this.#programs.values()) program.crash();
    this.options.time.end();
  }

  /** Statuses that are late are faults. */
  lookAtLate(): void {
    const late = this.#late.look(behindOf(this.judge.ledger, this.nodes), this.options.time.nowMs, (target) =>
      this.#calmSinceMs(target),
    );
    for (const one of late) this.options.onFault(one);
  }

  /** Since when nothing hinders a program in what it does; Infinity: something does. */
  #calmSinceMs(target: Target): number {
    const program = this.#programs.get(target);
    if (program?.isAlive !== true || this.server === undefined || program.wallOffsetMs !== 0) return Infinity;
    return Math.max(program.bornMs, this.#servedSinceMs, this.#disturbedMs, this.trouble.untilMs(target));
  }

  #revive(target: Target): void {
    if (this.#programs.get(target)?.isAlive === true) return;
    if (target === 'server') return this.#startServer();
    if (target === 'loops') return this.#startLoops();
    const node = this.nodes.find((one) => targetOf(one) === target);
    if (node === undefined) return;
    if (node.isUp) return this.#startAgent(node);
    node.powerOn();
    this.#programs.set(target, node.program ?? new Program('none', this.options.time));
  }

  #later(ms: number, run: () => void): void {
    this.options.time.after(ms, run);
  }

  get version(): string {
    return gitVersion;
  }
}

function targetOf(node: SimulatedNode): Target {
  return node.name as Target;
}
