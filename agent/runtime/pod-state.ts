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
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { Device } from '#native/bpf/device-rules.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { ContainerLaunch } from '#native/launch/launch.ts';
import type { ContainerState, SandboxConfig, TerminationMessage } from './runtime.ts';

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
  /** Layers that its root is made of: they stay as long as this document. */
  readonly diffIds: readonly string[];
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
  readonly exec: Pick<ContainerLaunch, 'env' | 'cwd' | 'user' | 'security'>;
  /** Its environment is not here but in a file, see exec-environment.ts. */
  readonly hasEnvironmentFile?: boolean;
  readonly sandboxAttempt: number;
  readonly state: ContainerState;
}

export interface PodDocuments {
  readonly sandbox: SandboxDocument;
  readonly containers: readonly ContainerDocument[]; // oldest first
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
      if (pod !== undefined) pods.push(pod);
    } catch (cause) {
      unreadable.push(new PodwrightError('E_INVALID', `read state of pod ${uid}`, { cause }));
    }
  }
  return { pods, unreadable };
}

async function readPod(directory: string): Promise<PodDocuments | undefined> {
  const sandbox = await readDocument<SandboxDocument>(`${directory}/sandbox.json`);
  if (sandbox === undefined) {
    // Cut off before its first document: nothing was made yet.
    await removeTree(directory);
    return undefined;
  }
  const containers: ContainerDocument[] = [];
  for (const name of await listDirectory(`${directory}/containers`)) {
    if (!name.endsWith('.json')) continue;
    const document = await readDocument<ContainerDocument>(`${directory}/containers/${name}`);
    if (document !== undefined) containers.push(document);
  }
  return {
    sandbox,
    containers: containers.toSorted((a, b) => a.createdAtMs - b.createdAtMs || a.attempt - b.attempt),
  };
}

export async function writeSandbox(podDirectory: string, document: SandboxDocument): Promise<void> {
  mkdirSync(`${podDirectory}/containers`, { recursive: true, mode: 0o700 });
  // Annotations are of any length, nobody here asks for them, and all pods' documents share a room.
  const config = { ...document.config, annotations: {} };
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
  writeFileSync(`${path}.partial`, JSON.stringify(document), { mode: 0o600 });
  renameSync(`${path}.partial`, path);
}

/** Our own documents, written whole, are trusted to be what their version says. */
async function readDocument<T extends { readonly version: 1 }>(path: string): Promise<T | undefined> {
  try {
    const document = JSON.parse(await readFile(path, 'utf8')) as T;
    if (document.version === 1) return document;
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `read ${path}: version ${String(document.version)} is not known`,
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function listDirectory(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
