/**
 * What clients of CRI said of their sandboxes and containers, beyond what the runtime knows, as documents that are replaced whole:
 *
 *     RUNDIR/cri/UID/sandbox.json      written before anything is made, and when it is ready
 *     RUNDIR/cri/UID/ID.json           a container, from its creation to its removal
 *     RUNDIR/cri/UID/files/            resolv.conf, hosts and hostname of its containers
 *
 * UID is the runtime's name of the sandbox: a pod may have several in CRI. What runs is the runtime's to say.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { isObject } from '#api/wire/json.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type {
  ContainerMetadata,
  ImageSpec,
  LinuxContainerResources,
  Mount,
  PodSandboxConfig,
  Signal,
} from '#proto/cri/api.ts';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';

export interface SandboxRecord {
  readonly version: 1;
  readonly uid: string;
  /** As clients know it. */
  readonly id: string;
  /** making: its client was told nothing yet; what there is of it is undone by the next agent. */
  readonly phase: 'making' | 'made';
  readonly config: PodSandboxConfig;
  /** As its client said; absent in records of earlier agents. */
  readonly runtimeHandler?: string;
  readonly createdAtMs: number;
}

export interface ContainerRecord {
  readonly version: 1;
  readonly id: string;
  readonly sandboxUid: string;
  readonly metadata: ContainerMetadata;
  readonly image: ImageSpec;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly resources: LinuxContainerResources | null;
  readonly stopSignal: Signal;
  readonly createdAtMs: number;
  /** What it is started with. Holds the environment: the file is root's alone. */
  readonly launch: ContainerConfig;
  /** Why it could not even be begun. */
  readonly failure?: { readonly atMs: number; readonly message: string };
}

/** Documents share a file system in memory. */
const recordBytesMax = 4 * 1024 * 1024;

/** Which uids of the runtime are CRI's. */
export const criUidPrefix = 'cri-';

/** Records of sandboxes and containers, in memory as on disk: written first. */
export class CriBook {
  readonly #directory: string;
  readonly #sandboxes = new Map<string, SandboxRecord>();
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #changed: (uid: string) => void;

  /** `changed` is told the uid of each sandbox of which something was written. */
  constructor(directory: string, changed: (uid: string) => void) {
    this.#directory = directory;
    this.#changed = changed;
  }

  /** Reads what an earlier agent left. Gives what is damaged, in words; that is left where it is. */
  async open(): Promise<readonly string[]> {
    const damage: string[] = [];
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const uid of await namesIn(this.#directory)) {
      if (!uid.startsWith(criUidPrefix)) continue;
      const directory = this.directoryOf(uid);
      removeDrafts(directory);
      if (!existsSync(`${directory}/sandbox.json`)) {
        await removeTree(directory); // Cut off before its first document.
        continue;
      }
      for (const name of (await namesIn(directory)).filter((each) => each.endsWith('.json'))) {
        try {
          this.#take(uid, JSON.parse(await readFile(`${directory}/${name}`, 'utf8')));
        } catch (error) {
          damage.push(`${directory}/${name}: ${describeError(error)}`);
        }
      }
    }
    return damage;
  }

  /** @throws E_INVALID */
  #take(uid: string, record: unknown): void {
    const isWhole = isObject(record) && record['version'] === 1 && typeof record['id'] === 'string';
    if (!isWhole) throw new PodwrightError('E_INVALID', 'it is damaged');
    // As this version wrote it, whole or not at all.
    if (record['sandboxUid'] === uid) {
      const container = record as unknown as ContainerRecord;
      this.#containers.set(container.id, container);
    } else if (record['uid'] === uid) this.#sandboxes.set(uid, record as unknown as SandboxRecord);
    else throw new PodwrightError('E_INVALID', `it is not of ${uid}`);
  }

  directoryOf(uid: string): string {
    return `${this.#directory}/${uid}`;
  }

  sandboxes(): readonly SandboxRecord[] {
    return [...this.#sandboxes.values()];
  }

  sandbox(uid: string): SandboxRecord | undefined {
    return this.#sandboxes.get(uid);
  }

  containers(): readonly ContainerRecord[] {
    return [...this.#containers.values()];
  }

  container(id: string): ContainerRecord | undefined {
    return this.#containers.get(id);
  }

  /** @throws E_LIMIT */
  putSandbox(record: SandboxRecord): void {
    mkdirSync(this.directoryOf(record.uid), { recursive: true, mode: 0o700 });
    this.#write(`${this.directoryOf(record.uid)}/sandbox.json`, record);
    this.#sandboxes.set(record.uid, record);
    this.#changed(record.uid);
  }

  /** @throws E_LIMIT */
  putContainer(record: ContainerRecord): void {
    this.#write(`${this.directoryOf(record.sandboxUid)}/${record.id}.json`, record);
    this.#containers.set(record.id, record);
    this.#changed(record.sandboxUid);
  }

  async removeContainer({ id, sandboxUid }: ContainerRecord): Promise<void> {
    await rm(`${this.directoryOf(sandboxUid)}/${id}.json`, { force: true });
    this.#containers.delete(id);
    this.#changed(sandboxUid);
  }

  /** With those of its containers. */
  async removeSandbox(uid: string): Promise<void> {
    await removeTree(this.directoryOf(uid));
    for (const record of this.containers()) if (record.sandboxUid === uid) this.#containers.delete(record.id);
    this.#sandboxes.delete(uid);
    this.#changed(uid);
  }

  /** On a tmpfs: synchronous, and not synced. */
  #write(path: string, record: SandboxRecord | ContainerRecord): void {
    const text = JSON.stringify(record);
    if (Buffer.byteLength(text) > recordBytesMax) {
      throw new PodwrightError(
        'E_LIMIT',
        `keep ${record.id}: its configuration has more than ${recordBytesMax} bytes`,
      );
    }
    writeDurablySync(path, text, { survives: 'kill' });
  }
}
