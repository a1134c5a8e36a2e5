/**
 * What is kept of a container: ROOT/ID/state.json and the FIFO that starts it. Written before what it speaks of is done, so that
 * whoever finds it after a kill at any moment knows what to take away. Whether the process lives, the kernel says.
 */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeDurablySync } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { OciConfig } from '#api/oci/runtime/config.ts';
import type { NamespaceKind } from '#native/launch/runner/bundle-launch.ts';

export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export interface ContainerState {
  readonly version: 1;
  readonly id: string;
  readonly bundle: string;
  /** RFC 3339. */
  readonly created: string;
  /** Whoever makes it, as long as it is not there. */
  readonly creator: ProcessKey;
  /** `there`: everything is made, its process waits for the start. */
  readonly phase: 'creating' | 'there';
  readonly process: ProcessKey | undefined;
  /** Absolute. Undefined: it is in the caller's. */
  readonly cgroup: string | undefined;
  /** Of the cgroup and those above it: what was not there, outermost first. */
  readonly madeCgroups: readonly string[];
  readonly isNodev: boolean;
  readonly config: OciConfig;
}

/** A process that no other has the number of. */
export interface ProcessKey {
  readonly pid: number;
  /** Since boot, in ticks (proc_pid_stat(5), field 22). */
  readonly startTime: number;
}

/** Names as runc has them. */
export function checkContainerId(id: string): void {
  if (/^[\w+.-]{1,1024}$/.test(id) && id !== '.' && id !== '..') return;
  throw new PodwrightError(
    'E_INVALID',
    `container id ${JSON.stringify(id)}: it is made of letters, digits, _, +, - and .`,
  );
}

export class StateDirectory {
  readonly path: string;
  readonly #root: string;
  readonly id: string;

  constructor(root: string, id: string) {
    checkContainerId(id);
    this.#root = root;
    this.id = id;
    this.path = join(root, id);
  }

  get fifo(): string {
    return join(this.path, 'start.fifo');
  }

  /** @throws E_EXISTS */
  make(): void {
    mkdirSync(this.#root, { recursive: true, mode: 0o711 });
    try {
      mkdirSync(this.path, { mode: 0o700 });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      throw new PodwrightError('E_EXISTS', `container with id exists already: ${this.id}`);
    }
  }

  exists(): boolean {
    return existsSync(this.path);
  }

  write(state: ContainerState): void {
    writeDurablySync(join(this.path, 'state.json'), JSON.stringify(state), { survives: 'kill' });
  }

  /** Undefined where it was not written yet. @throws E_NOT_FOUND */
  readIfWritten(): ContainerState | undefined {
    try {
      return JSON.parse(readFileSync(join(this.path, 'state.json'), 'utf8')) as ContainerState;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      if (this.exists()) return undefined;
      throw doesNotExist(this.id);
    }
  }

  /** @throws E_NOT_FOUND */
  read(): ContainerState {
    const state = this.readIfWritten();
    if (state === undefined) throw doesNotExist(this.id);
    return state;
  }

  /** Only what is ours there. */
  remove(): void {
    if (!this.exists()) return;
    for (const name of readdirSync(this.path)) rmSync(join(this.path, name), { force: true });
    rmdirSync(this.path);
  }

  /** Whether a process waits at the FIFO: then it can be opened for writing. */
  waits(): boolean {
    try {
      closeSync(openSync(this.fifo, constants.O_WRONLY | constants.O_NONBLOCK));
      return true;
    } catch (error) {
      if (['ENXIO', 'ENOENT'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
  }
}

/** Others look for these words. */
function doesNotExist(id: string): PodwrightError {
  return new PodwrightError('E_NOT_FOUND', `container ${JSON.stringify(id)} does not exist`);
}

/** Undefined where there is none of the number, or only what is left of it. */
export function keyOf(pid: number): ProcessKey | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name is in parentheses and may hold anything.
  const [state = 'X', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ['Z', 'X', 'x'].includes(state) ? undefined : { pid, startTime: Number(rest[18]) };
}

export function lives(key: ProcessKey | undefined): key is ProcessKey {
  return key !== undefined && keyOf(key.pid)?.startTime === key.startTime;
}

export function statusOf(directory: StateDirectory, state: ContainerState): Status {
  if (state.phase === 'creating') return lives(state.creator) ? 'creating' : 'stopped';
  if (!lives(state.process)) return 'stopped';
  if (directory.waits()) return 'created';
  const frozen = state.cgroup === undefined ? undefined : readIfThere(join(state.cgroup, 'cgroup.freeze'));
  return frozen?.trim() === '1' ? 'paused' : 'running';
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'ENODEV', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** The document that hooks and callers get (runtime-spec, runtime.md, "State"). */
export function renderState(state: ContainerState, status: Status): Readonly<Record<string, unknown>> {
  const { id, bundle, config, process } = state;
  return {
    ociVersion: config.ociVersion,
    ...{ id, status },
    // Of one that has ended there is none.
    pid: status === 'stopped' ? 0 : (process?.pid ?? 0),
    bundle,
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
  };
}

/** The namespaces of a container that are not the caller's. */
export function namespacesOf({ config }: ContainerState): readonly NamespaceKind[] {
  return (config.linux?.namespaces ?? []).map(({ type }) => type as NamespaceKind);
}
