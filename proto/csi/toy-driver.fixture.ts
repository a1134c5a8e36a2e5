/**
 * A driver of volumes for tests, strict where the specification is: volumes are directories, what it did is in files, so that another
 * life of it goes on. `fault` may throw before or after anything is done.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import { refusal } from '#proto/status.ts';
import { serveUnix, serviceOf } from '#proto/unix-server.ts';
import type { ControllerServiceCapabilityRPC, NodeServiceCapabilityRPC, Volume, VolumeContentSource } from './csi.ts';
import type { Outgoing } from '#proto/contract.ts';

type Request = Readonly<Record<string, unknown>>;

export interface ToyDriverOptions {
  readonly socket: string;
  /** What outlives it. */
  readonly state: string;
  readonly name?: string;
  readonly nodeId?: string;
  readonly volumesMax?: number;
  readonly topology?: Readonly<Record<string, string>>;
  readonly nodeCan?: readonly NodeServiceCapabilityRPC['type'][];
  readonly controllerCan?: readonly ControllerServiceCapabilityRPC['type'][];
  readonly capacityBytes?: number;
  /** How often a snapshot is asked for before it is ready. */
  readonly readyAfter?: number;
  readonly mounting?: Mounting;
  readonly fault?: (call: string, when: 'before' | 'after', request: Request) => void | Promise<void>;
}

export interface Mounting {
  bind(source: string, target: string, isReadOnly: boolean): void;
  /** A block device of `bytes`, at a file that is made. */
  device(source: string, target: string, bytes: number): void;
  unbind(target: string): void;
}

/** Of the mount namespace that it is in. */
export const realMounting: Mounting = {
  bind: (source, target, isReadOnly) => {
    mkdirSync(target, { recursive: true });
    execFileSync('mount', ['--bind', ...(isReadOnly ? ['-o', 'ro'] : []), source, target]);
  },
  device: (source, target, bytes) => {
    const file = `${source}.img`;
    if (!existsSync(file)) writeFileSync(file, Buffer.alloc(bytes));
    const known = execFileSync('losetup', ['--noheadings', '--output', 'NAME', '--associated', file]).toString().trim();
    const loop = known === '' ? execFileSync('losetup', ['--find', '--show', file]).toString().trim() : known.split('\n')[0];
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, '', { flag: 'a' });
    execFileSync('mount', ['--bind', loop ?? '', target]);
  },
  unbind: (target) => {
    if (!existsSync(target)) return;
    const isFile = !statSync(target).isDirectory();
    if (isFile && isMounted(target)) {
      const loop = execFileSync('findmnt', ['--noheadings', '--output', 'SOURCE', target]).toString();
      const device = /\[(\/[^\]]*)\]/.exec(loop)?.[1];
      execFileSync('umount', [target]);
      if (device !== undefined) execFileSync('losetup', ['--detach', `/dev${device}`]);
    }
    for (let count = 0; count < 10 && isMounted(target); count++) execFileSync('umount', [target]);
    if (isFile) rmSync(target);
    else rmdirSync(target);
  },
};

/** Nothing is mounted: a directory is there, or not. */
export const emptyMounting: Mounting = {
  bind: (_source, target) => void mkdirSync(target, { recursive: true }),
  // Of a number that nobody has, and that nobody opens.
  device: (_source, target) => void execFileSync('mknod', [target, 'b', '7', '4000']),
  unbind: (target) => rmSync(target, { recursive: true, force: true }),
};

function isMounted(target: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === target);
}

export interface ToyDriver extends AsyncDisposable {
  /** Each call with its request, oldest first. */
  readonly calls: readonly { readonly call: string; readonly request: Request }[];
  /** What a caller did that the specification forbids. */
  readonly violations: readonly string[];
  readonly state: ToyState;
  /** As CreateVolume. */
  create(request: CreateVolume): void;
}

/** What is kept: in one file, each a map by id. */
export interface ToyState {
  volumes: Record<string, { name: string; bytes: number; parameters: Record<string, string>; source?: string; attributes?: Record<string, string> }>;
  snapshots: Record<string, { name: string; source: string; bytes: number }>;
  attached: Record<string, string[]>;
  staged: Record<string, string>;
  published: Record<string, string>;
}

const nodeDefaults: readonly NodeServiceCapabilityRPC['type'][] = ['STAGE_UNSTAGE_VOLUME', 'GET_VOLUME_STATS', 'EXPAND_VOLUME'];
const controllerDefaults: readonly ControllerServiceCapabilityRPC['type'][] = [
  ...(['CREATE_DELETE_VOLUME', 'PUBLISH_UNPUBLISH_VOLUME', 'CREATE_DELETE_SNAPSHOT'] as const),
  ...(['CLONE_VOLUME', 'EXPAND_VOLUME', 'GET_CAPACITY', 'LIST_SNAPSHOTS', 'MODIFY_VOLUME'] as const),
];

export async function startToyDriver(options: ToyDriverOptions): Promise<ToyDriver> {
  const contract = await loadContract('csi-v1');
  const driver = new Toy(options);
  const wrapped = <T extends object>(handlers: T): T => driver.wrap(handlers);
  const server = await serveUnix(contract, {
    path: options.socket,
    services: [
      serviceOf(contract.services['csi.v1.Identity'], wrapped(driver.identity())),
      serviceOf(contract.services['csi.v1.Controller'], wrapped(driver.controller())),
      serviceOf(contract.services['csi.v1.Node'], wrapped(driver.node())),
    ],
    clock: systemClock,
    log: silentLogger,
  });
  return {
    calls: driver.calls,
    violations: driver.violations,
    get state() {
      return driver.read();
    },
    create: (request) => void driver.create(request),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

class Toy {
  readonly calls: { call: string; request: Request }[] = [];
  readonly violations: string[] = [];
  readonly #options: ToyDriverOptions;
  readonly #mounting: Mounting;

  constructor(options: ToyDriverOptions) {
    this.#options = options;
    this.#mounting = options.mounting ?? emptyMounting;
    mkdirSync(join(options.state, 'data'), { recursive: true });
  }

  read(): ToyState {
    const file = join(this.#options.state, 'state.json');
    if (!existsSync(file)) return { volumes: {}, snapshots: {}, attached: {}, staged: {}, published: {} };
    return JSON.parse(readFileSync(file, 'utf8')) as ToyState;
  }

  #write(change: (state: ToyState) => void): void {
    const state = this.read();
    change(state);
    writeFileSync(join(this.#options.state, 'state.json'), JSON.stringify(state));
  }

  wrap<T extends object>(handlers: T): T {
    const { fault } = this.#options;
    const entries = Object.entries(handlers).map(([call, handler]) => [
      call,
      async (request: Request, served: unknown) => {
        this.calls.push({ call, request });
        await fault?.(call, 'before', request);
        const answer: unknown = await (handler as (request: Request, served: unknown) => unknown)(request, served);
        await fault?.(call, 'after', request);
        return answer;
      },
    ]);
    return Object.fromEntries(entries) as T;
  }

  #data(id: string): string {
    return join(this.#options.state, 'data', id);
  }

  #topology(): readonly { readonly segments: Readonly<Record<string, string>> }[] {
    const { topology } = this.#options;
    return topology === undefined ? [] : [{ segments: topology }];
  }

  #need(id: string): ToyState['volumes'][string] {
    const found = this.read().volumes[id];
    if (found === undefined && id.startsWith('csi-')) return { name: id, bytes: 0, parameters: {} };
    if (found === undefined) throw refusal('NOT_FOUND', `volume ${id} is not there`);
    return found;
  }

  #forbid(what: string): never {
    this.violations.push(what);
    throw refusal('FAILED_PRECONDITION', what);
  }

  identity() {
    const { name = 'toy.csi.example.com', topology } = this.#options;
    return {
      GetPluginInfo: () => ({ name, vendor_version: '1' }),
      GetPluginCapabilities: () => ({
        capabilities: [
          { service: { type: 'CONTROLLER_SERVICE' as const } },
          ...(topology === undefined ? [] : [{ service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' as const } }]),
          { volume_expansion: { type: 'ONLINE' as const } },
        ],
      }),
      Probe: () => ({ ready: { value: true } }),
    };
  }

  controller() {
    const { controllerCan = controllerDefaults, capacityBytes = 1 << 30 } = this.#options;
    return {
      ControllerGetCapabilities: () => ({ capabilities: controllerCan.map((type) => ({ rpc: { type } })) }),
      CreateVolume: (request: CreateVolume) => ({ volume: this.create(request) }),
      DeleteVolume: ({ volume_id: id }: { volume_id: string }) => {
        const state = this.read();
        if ((state.attached[id] ?? []).length > 0) this.#forbid(`delete ${id}: it is attached`);
        rmSync(this.#data(id), { recursive: true, force: true });
        this.#write(({ volumes }) => void delete volumes[id]);
        return {};
      },
      ControllerPublishVolume: ({ volume_id: id, node_id: node }: { volume_id: string; node_id: string }) => {
        this.#need(id);
        this.#write(({ attached }) => void (attached[id] = [...new Set([...(attached[id] ?? []), node])]));
        return { publish_context: { device: `/dev/${id}` } };
      },
      ControllerUnpublishVolume: ({ volume_id: id, node_id: node }: { volume_id: string; node_id: string }) => {
        const state = this.read();
        if (state.staged[`${id}@${node}`] !== undefined) this.violations.push(`detach ${id}: it is staged on ${node}`);
        this.#write(({ attached }) => void (attached[id] = (attached[id] ?? []).filter((one) => one !== node)));
        return {};
      },
      GetCapacity: () => ({
        available_capacity: capacityBytes - Object.values(this.read().volumes).reduce((sum, { bytes }) => sum + bytes, 0),
      }),
      CreateSnapshot: ({ name, source_volume_id: source }: { name: string; source_volume_id: string }) => {
        const { bytes } = this.#need(source);
        const id = `snap-${name}`;
        if (this.read().snapshots[id] === undefined) cpSync(this.#data(source), this.#data(id), { recursive: true });
        this.#write(({ snapshots }) => void (snapshots[id] = { name, source, bytes }));
        const creation_time = { seconds: 1_700_000_000, nanos: 0 };
        return { snapshot: { snapshot_id: id, source_volume_id: source, size_bytes: bytes, ready_to_use: this.#isReady(id), creation_time } };
      },
      ListSnapshots: ({ snapshot_id: id }: { snapshot_id: string }) => {
        const found = this.read().snapshots[id];
        const creation_time = { seconds: 1_700_000_000, nanos: 0 };
        const snapshot = { snapshot_id: id, source_volume_id: found?.source ?? '', size_bytes: found?.bytes ?? 0, ready_to_use: true, creation_time };
        return { entries: found === undefined ? [] : [{ snapshot }] };
      },
      DeleteSnapshot: ({ snapshot_id: id }: { snapshot_id: string }) => {
        rmSync(this.#data(id), { recursive: true, force: true });
        this.#write(({ snapshots }) => void delete snapshots[id]);
        return {};
      },
      ControllerExpandVolume: ({ volume_id: id, capacity_range: range }: { volume_id: string; capacity_range: { required_bytes: number } | null }) => {
        const bytes = Math.max(this.#need(id).bytes, range?.required_bytes ?? 0);
        this.#write(({ volumes }) => void (volumes[id] = { ...this.#need(id), bytes }));
        return { capacity_bytes: bytes, node_expansion_required: true };
      },
      ControllerModifyVolume: ({ volume_id: id, mutable_parameters: given }: { volume_id: string; mutable_parameters: Record<string, string> }) => {
        const known = this.#need(id);
        this.#judge(given);
        this.#write(({ volumes }) => void (volumes[id] = { ...known, attributes: { ...known.attributes, ...given } }));
        return {};
      },
    };
  }

  /** Of attributes it knows `iops`, a number, alone. */
  #judge(attributes: Record<string, string>): Record<string, string> {
    const odd = Object.entries(attributes).find(([key, value]) => key !== 'iops' || !/^[0-9]+$/.test(value));
    if (odd !== undefined) throw refusal('INVALID_ARGUMENT', `attribute ${odd[0]} cannot be ${odd[1]}`);
    return attributes;
  }

  #isReady(id: string): boolean {
    const asked = this.calls.filter(({ call, request }) => call === 'CreateSnapshot' && `snap-${String(request['name'])}` === id);
    return asked.length > (this.#options.readyAfter ?? 0);
  }

  create(request: CreateVolume): Outgoing<Volume> {
    const { name, capacity_range: range, parameters, volume_content_source: source, mutable_parameters: attributes = {} } = request;
    this.#judge(attributes);
    const id = `vol-${name}`;
    const bytes = range?.required_bytes ?? 1 << 20;
    const state = this.read();
    const before = state.volumes[id];
    if (before !== undefined && before.bytes !== bytes) throw refusal('ALREADY_EXISTS', `volume ${name} has another size`);
    const { capacityBytes = 1 << 30 } = this.#options;
    if (bytes > capacityBytes) throw refusal('RESOURCE_EXHAUSTED', `no room for ${bytes} bytes`);
    const from = source?.snapshot?.snapshot_id ?? source?.volume?.volume_id;
    if (before === undefined) {
      if (from === undefined) mkdirSync(this.#data(id), { recursive: true });
      else if (existsSync(this.#data(from))) cpSync(this.#data(from), this.#data(id), { recursive: true });
      else throw refusal('NOT_FOUND', `source ${from} is not there`);
      this.#write(({ volumes }) => void (volumes[id] = { name, bytes, parameters, attributes, ...(from === undefined ? {} : { source: from }) }));
    }
    return {
      ...{ volume_id: id, capacity_bytes: bytes, volume_context: { made: 'by-toy' } },
      accessible_topology: this.#topology(),
      ...(source === null ? {} : { content_source: source as Outgoing<VolumeContentSource> }),
    };
  }

  node() {
    const { nodeId = 'toy-node', volumesMax = 0, nodeCan = nodeDefaults, topology } = this.#options;
    const doesStage = nodeCan.includes('STAGE_UNSTAGE_VOLUME');
    return {
      NodeGetInfo: () => ({
        ...{ node_id: nodeId, max_volumes_per_node: volumesMax },
        ...(topology === undefined ? {} : { accessible_topology: { segments: topology } }),
      }),
      NodeGetCapabilities: () => ({ capabilities: nodeCan.map((type) => ({ rpc: { type } })) }),
      NodeStageVolume: ({ volume_id: id, staging_target_path: at }: Staging) => {
        this.#need(id);
        if (!existsSync(at)) this.#forbid(`stage ${id}: ${at} is not there`);
        this.#write(({ staged }) => void (staged[`${id}@${nodeId}`] = at));
        return {};
      },
      NodeUnstageVolume: ({ volume_id: id }: Staging) => {
        const users = Object.entries(this.read().published).filter(([, volume]) => volume === id);
        if (users.length > 0) this.#forbid(`unstage ${id}: it is published at ${users[0]?.[0] ?? ''}`);
        this.#write(({ staged }) => void delete staged[`${id}@${nodeId}`]);
        return {};
      },
      NodePublishVolume: (request: Publishing) => {
        const { volume_id: id, target_path: at, readonly } = request;
        this.#need(id);
        const isInline = id.startsWith('csi-');
        if (doesStage && !isInline && this.read().staged[`${id}@${nodeId}`] === undefined)
          this.#forbid(`publish ${id}: it is not staged`);
        if (isInline) mkdirSync(this.#data(id), { recursive: true });
        const isDevice = (request.volume_capability?.block ?? null) !== null;
        if (this.read().published[at] === undefined && isDevice) this.#mounting.device(this.#data(id), at, this.#need(id).bytes);
        else if (this.read().published[at] === undefined) this.#mounting.bind(this.#data(id), at, readonly);
        this.#write(({ published }) => void (published[at] = id));
        return {};
      },
      NodeUnpublishVolume: ({ volume_id: id, target_path: at }: Omit<Publishing, 'readonly'>) => {
        this.#mounting.unbind(at);
        this.#write(({ published }) => void delete published[at]);
        if (id.startsWith('csi-')) rmSync(this.#data(id), { recursive: true, force: true });
        return {};
      },
      NodeExpandVolume: ({ volume_id: id, capacity_range: range }: { volume_id: string; capacity_range: { required_bytes: number } | null }) => {
        this.#need(id);
        return { capacity_bytes: range?.required_bytes ?? 0 };
      },
      NodeGetVolumeStats: ({ volume_id: id }: { volume_id: string }) => ({
        usage: [{ unit: 'BYTES' as const, total: this.#need(id).bytes, used: 4096, available: this.#need(id).bytes - 4096 }],
      }),
    };
  }

  /** Names of what has data. */
  data(): readonly string[] {
    return readdirSync(join(this.#options.state, 'data'));
  }
}

export interface CreateVolume {
  readonly name: string;
  readonly capacity_range: { readonly required_bytes: number; readonly limit_bytes: number } | null;
  readonly parameters: Record<string, string>;
  readonly mutable_parameters?: Record<string, string>;
  readonly volume_content_source: {
    readonly snapshot?: { readonly snapshot_id: string } | null;
    readonly volume?: { readonly volume_id: string } | null;
  } | null;
}

interface Staging {
  readonly volume_id: string;
  readonly staging_target_path: string;
}

interface Publishing {
  readonly volume_id: string;
  readonly target_path: string;
  readonly readonly: boolean;
  readonly volume_capability?: { readonly block?: object | null } | null;
}
