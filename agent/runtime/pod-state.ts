/**
 * What a new agent must know of a pod that an earlier one started, as small documents that are replaced whole:
 *
 *     RUNDIR/pods/UID/sandbox.json            written before anything is made, and at each step of its life
 *     RUNDIR/pods/UID/containers/ID.json      written before the launch, and with the final facts
 *     RUNDIR/pods/UID/env/ID                  environments that are large, on a tmpfs of the pod's own
 *     RUNDIR/pods/UID/s0/                     of the supervisor: its socket, its exits
 *
 * The kernel and the supervisor are the truth of what runs; these say what it was meant to be.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Device } from '#native/bpf/device-rules.ts';
import { isObject } from '#api/wire/json.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { ContainerLaunch } from '#native/launch/launch.ts';
import type { ContainerState, MountedImage, SandboxConfig, TerminationMessage } from './runtime.ts';

export interface SandboxDocument {
  readonly version: 1;
  /** starting: being made, or cut off while it was; all of it is to be undone. */
  readonly phase: 'starting' | 'ready' | 'dead' | 'stopped';
  readonly config: SandboxConfig;
  readonly createdAtMs: number;
  readonly ips: readonly string[];
}

export interface ContainerDocument {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageId: string;
  /** Layers (ids of the image store) that its root and the images that it mounts are made of: they stay as long as this document. */
  readonly diffIds: readonly string[];
  /** Where it mounts which images, by their ids; absent where it mounts none. */
  readonly mountedImages?: readonly MountedImage[];
  readonly createdAtMs: number;
  readonly logPath: string | undefined;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stopSignal: number;
  readonly termination: TerminationMessage | undefined;
  readonly cgroup: string; // relative to the node's root
  /** That it was given besides those of every container; absent in documents of earlier agents. */
  readonly devices?: readonly Device[];
  /** How exec joins it. Holds the environment: the file is root's alone. */
  readonly exec: Pick<ContainerLaunch, 'env' | 'cwd' | 'user' | 'security'> &
    Partial<Pick<ContainerLaunch, 'rlimits'>>;
  /** Its environment is not here but in a file, see exec-environment.ts. */
  readonly hasEnvironmentFile?: boolean;
  readonly sandboxAttempt: number;
  readonly state: ContainerState;
}

export interface PodDocuments {
  readonly sandbox: SandboxDocument;
  readonly containers: readonly ContainerDocument[]; // oldest first
  /** What of it could not be read: its sandbox then counts as cut off while it was made, so that all of it is undone. */
  readonly damage: string | undefined;
}

/** Reads every pod that left something. Unreadable ones are named, for the caller to report, and left alone. */
export async function readPods(
  directory: string,
): Promise<{ readonly pods: readonly PodDocuments[]; readonly unreadable: readonly Error[] }> {
  const pods: PodDocuments[] = [];
  const unreadable: Error[] = [];
  for (const uid of await listDirectory(directory)) {
    try {
      const pod = await readPod(`${directory}/${uid}`);
      if (pod !== undefined && pod.sandbox.config.uid !== uid) {
        throw new PodwrightError('E_INVALID', `it is that of pod ${pod.sandbox.config.uid}`);
      }
      if (pod !== undefined) pods.push(pod);
    } catch (cause) {
      unreadable.push(new PodwrightError('E_INVALID', `read state of pod ${uid}`, { cause }));
    }
  }
  return { pods, unreadable };
}

async function readPod(directory: string): Promise<PodDocuments | undefined> {
  const sandbox = await readDocument(`${directory}/sandbox.json`, isSandboxDocument);
  let damage: string | undefined;
  if (sandbox === undefined) {
    // Cut off before its first document: nothing was made yet.
    await removeTree(directory);
    return undefined;
  }
  const containers: ContainerDocument[] = [];
  for (const each of [directory, `${directory}/containers`]) if (existsSync(each)) removeDrafts(each);
  for (const name of await listDirectory(`${directory}/containers`)) {
    if (!name.endsWith('.json')) continue;
    try {
      const document = await readDocument(`${directory}/containers/${name}`, isContainerDocument);
      if (document !== undefined) containers.push(document);
    } catch (error) {
      if (isPodwrightError(error, 'E_UNSUPPORTED')) throw error;
      damage = describeError(error);
      await rm(`${directory}/containers/${name}`);
    }
  }
  return {
    sandbox: damage === undefined ? sandbox : { ...sandbox, phase: 'starting' },
    damage,
    containers: containers.toSorted((a, b) => a.createdAtMs - b.createdAtMs || a.attempt - b.attempt),
  };
}

export async function writeSandbox(podDirectory: string, document: SandboxDocument): Promise<void> {
  mkdirSync(`${podDirectory}/containers`, { recursive: true, mode: 0o700 });
  // Annotations are of any length, nobody here asks for them, and all pods' documents share a room.
  const config = { ...document.config, annotations: {}, words: undefined };
  writeDocument(`${podDirectory}/sandbox.json`, { ...document, config });
}

export async function writeContainer(podDirectory: string, document: ContainerDocument): Promise<void> {
  writeDocument(`${podDirectory}/containers/${document.id}.json`, document);
}

export async function removeContainerDocument(podDirectory: string, id: string): Promise<void> {
  await rm(`${podDirectory}/containers/${id}.json`, { force: true });
}

/**
 * Atomic, not synced: the directory is a tmpfs, and after a power cut there is no pod to know of. Synchronous for the same
 * reason: it never waits for a disk, and four trips through libuv's pool would take ten times as long.
 */
function writeDocument(path: string, document: object): void {
  writeDurablySync(path, JSON.stringify(document), { survives: 'kill' });
}

/** Written whole; what is not as this version writes it was damaged. @throws E_INVALID, E_UNSUPPORTED naming the file */
async function readDocument<T>(
  path: string,
  isWhole: (value: unknown) => value is T,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `read ${path}: it is damaged`, { cause });
  }
  const version = isObject(document) ? document['version'] : undefined;
  if (typeof version === 'number' && version !== 1) {
    throw new PodwrightError('E_UNSUPPORTED', `read ${path}: version ${version} is not known`);
  }
  if (!isWhole(document)) throw new PodwrightError('E_INVALID', `read ${path}: it is damaged`);
  return document;
}

/** What is read of a document before anything else of the pod is touched. */
function isSandboxDocument(value: unknown): value is SandboxDocument {
  if (!isObject(value) || !isObject(value['config'])) return false;
  const { phase, createdAtMs, ips, config } = value;
  const { uid, namespace, name, attempt, cgroupParent, portMappings } = config as Readonly<
    Record<string, unknown>
  >;
  return (
    ['starting', 'ready', 'dead', 'stopped'].includes(String(phase)) &&
    [uid, namespace, name, cgroupParent].every((each) => typeof each === 'string' && each !== '') &&
    Number.isInteger(attempt) &&
    typeof createdAtMs === 'number' &&
    [ips, portMappings].every(Array.isArray)
  );
}

function isContainerDocument(value: unknown): value is ContainerDocument {
  if (!isObject(value) || !isObject(value['state']) || !isObject(value['exec'])) return false;
  const { id, name, image, imageId, cgroup, attempt, createdAtMs, diffIds, state } = value;
  return (
    [id, name, image, imageId, cgroup].every((each) => typeof each === 'string') &&
    [attempt, createdAtMs].every(Number.isFinite) &&
    Array.isArray(diffIds) &&
    ['created', 'running', 'exited'].includes(String((state as Readonly<Record<string, unknown>>)['state']))
  );
}

async function listDirectory(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
