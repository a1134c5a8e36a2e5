/** What was assigned, on disk: `cpu_manager_state` and `memory_manager_state`, by the names and fields that the kubelet has. */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import type { Assigned, Assignment, AssignRules, MemoryBlock } from './assignment.ts';
import { formatCpuList, parseCpuList } from './cpu-list.ts';
import { maskOf, nodesIn } from './hints.ts';

const files = { cpu: 'cpu_manager_state', memory: 'memory_manager_state' } as const;
type Document = Readonly<Record<string, unknown>>;

export interface CheckpointFiles {
  readonly cpu: string;
  readonly memory: string;
}

/** The two documents. Pure; `shared` are the CPUs of all other containers. */
export function renderCheckpoint(
  assigned: Assigned,
  { cpuPolicy, memoryPolicy }: Pick<AssignRules, 'cpuPolicy' | 'memoryPolicy'>,
  shared: readonly number[],
): CheckpointFiles {
  const entries = <T>(of: (assignment: Assignment) => T | undefined): Record<string, Record<string, T>> =>
    Object.fromEntries(
      [...assigned].flatMap(([uid, containers]) => {
        const own = [...containers].flatMap(([name, each]): [string, T][] => {
          const value = of(each);
          return value === undefined ? [] : [[name, value]];
        });
        return own.length === 0 ? [] : [[uid, Object.fromEntries(own)]];
      }),
    );
  return {
    cpu: sealed({
      policyName: cpuPolicy,
      defaultCpuSet: formatCpuList(shared),
      entries: entries(({ cpus }) => (cpus.length === 0 ? undefined : formatCpuList(cpus))),
    }),
    memory: sealed({
      policyName: memoryPolicy,
      entries: entries(({ memory }) =>
        memory.length === 0
          ? undefined
          : memory.map(({ resource, bytes, nodes }) => ({
              numaAffinity: nodesIn(nodes),
              type: resource,
              size: bytes,
            })),
      ),
    }),
  };
}

function sealed(document: Document): string {
  return `${JSON.stringify({ ...document, checksum: checksumOf(document) })}\n`;
}

function checksumOf(document: Document): number {
  return createHash('sha256').update(JSON.stringify(document)).digest().readUInt32BE(0);
}

/** @throws {E_DAMAGED} for what was not written so, with what to do */
export function parseCheckpoint({ cpu, memory }: Partial<CheckpointFiles>): Assigned {
  const cpus = cpu === undefined ? {} : entriesOf(cpu, files.cpu);
  const blocks = memory === undefined ? {} : entriesOf(memory, files.memory);
  const assigned = new Map<string, Map<string, Assignment>>();
  const add = (uid: string, name: string, part: Partial<Assignment>): void => {
    const pod = assigned.get(uid) ?? new Map<string, Assignment>();
    assigned.set(uid, pod.set(name, { cpus: [], memory: [], ...pod.get(name), ...part }));
  };
  for (const [uid, name, value] of leaves(cpus)) {
    const list = parseCpuList(stringOf(value));
    if (list === undefined) throw damaged(files.cpu, `${uid}.${name} is no list of CPUs`);
    add(uid, name, { cpus: list });
  }
  for (const [uid, name, value] of leaves(blocks))
    add(uid, name, { memory: blocksOf(value, `${uid}.${name}`) });
  return assigned;
}

function entriesOf(text: string, file: string): unknown {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw damaged(file, describeError(error));
  }
  if (!isObject(document)) throw damaged(file, 'it is no object');
  const { checksum, ...rest } = document;
  if (checksum !== checksumOf(rest)) throw damaged(file, 'its checksum is another');
  return rest['entries'];
}

function leaves(entries: unknown): readonly (readonly [uid: string, name: string, value: unknown])[] {
  return Object.entries(isObject(entries) ? entries : {}).flatMap(([uid, containers]) =>
    Object.entries(isObject(containers) ? containers : {}).map(
      ([name, value]) => [uid, name, value] as const,
    ),
  );
}

function blocksOf(value: unknown, at: string): readonly MemoryBlock[] {
  if (!Array.isArray(value)) throw damaged(files.memory, `${at} is no list`);
  return value.map((block: unknown) => {
    const nodes = isObject(block) ? block['numaAffinity'] : undefined;
    const bytes = isObject(block) ? block['size'] : undefined;
    if (!isObject(block) || !Array.isArray(nodes) || !nodes.every(isNode) || typeof bytes !== 'number')
      throw damaged(files.memory, `${at} has a block that is none`);
    return { resource: stringOf(block['type']), bytes, nodes: maskOf(nodes) };
  });
}

function isNode(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 31;
}

function damaged(file: string, why: string): PodwrightError {
  return new PodwrightError(
    'E_DAMAGED',
    `read ${file}: ${why}; drain the node, remove the file and start the agent again`,
  );
}

/** What an earlier agent assigned; nothing where there was none. @throws {E_DAMAGED} */
export async function readCheckpoint(directory: string): Promise<Assigned> {
  const [cpu, memory] = await Promise.all([
    readIfThere(directory, files.cpu),
    readIfThere(directory, files.memory),
  ]);
  return parseCheckpoint({
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  });
}

async function readIfThere(directory: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(directory, file), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Each is whole at every moment. */
export async function writeCheckpoint(directory: string, texts: CheckpointFiles): Promise<void> {
  for (const key of ['cpu', 'memory'] as const) {
    const file = path.join(directory, files[key]);
    await writeFile(`${file}.new`, texts[key], { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

/** Under policies that assign nothing there is nothing to keep. */
export async function removeCheckpoint(directory: string): Promise<void> {
  await Promise.all(Object.values(files).map((file) => rm(path.join(directory, file), { force: true })));
}
