/**
 * The environments of a pod's containers, which exec needs for as long as they run. They are content, of any size that execve(2) takes, and
 * neither the directory of all pods' state nor the agent's heap is the place for much of it: past a little, a pod's lie in a tmpfs of its own.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { ContainerDocument } from './pod-state.ts';
import type { RuntimeSystem } from './system.ts';

/** Characters of environment in the documents of all containers of a pod. */
export const inlineLengthMax = 65_536;

/** Bytes of environment of all containers of a pod: sixteen times what the kernel takes for one. */
export const podEnvironmentBytesMax = 33_554_432;

/** The document with as much of its environment in it as it may have beside the others. @throws E_LIMIT */
export async function keepEnvironment(
  podDirectory: string,
  document: ContainerDocument,
  context: { readonly others: readonly ContainerDocument[]; readonly system: RuntimeSystem },
): Promise<ContainerDocument> {
  const { others, system } = context;
  const inline = others.reduce((sum, { exec }) => sum + lengthOf(exec.env), lengthOf(document.exec.env));
  if (inline <= inlineLengthMax) return document;
  await system.mountSharedMemory(directoryOf(podDirectory), podEnvironmentBytesMax);
  const path = pathOf(podDirectory, document.id);
  try {
    await writeFile(path, document.exec.env.join('\0'), { mode: 0o600 });
  } catch (error) {
    if (errnoOf(error) !== 'ENOSPC') throw error;
    await rm(path, { force: true });
    throw new PodwrightError(
      'E_LIMIT',
      `keep the environment of ${document.name}: those of the pod's containers have more than ${podEnvironmentBytesMax} bytes together; give less, or in a file of a volume`,
      { cause: error },
    );
  }
  return { ...document, exec: { ...document.exec, env: [] }, hasEnvironmentFile: true };
}

/** What a process that joins the container is given. */
export async function environmentOf(
  podDirectory: string,
  { id, exec, hasEnvironmentFile }: ContainerDocument,
): Promise<readonly string[]> {
  if (hasEnvironmentFile !== true) return exec.env;
  const text = await readFile(pathOf(podDirectory, id), 'utf8');
  return text.split('\0');
}

export async function forgetEnvironment(podDirectory: string, document: ContainerDocument): Promise<void> {
  if (document.hasEnvironmentFile === true) await rm(pathOf(podDirectory, document.id), { force: true });
}

/** Of all containers of a pod. */
export async function forgetEnvironments(podDirectory: string, system: RuntimeSystem): Promise<void> {
  await system.unmount(directoryOf(podDirectory));
}

function lengthOf(env: readonly string[]): number {
  return env.reduce((sum, entry) => sum + entry.length, 0);
}

function directoryOf(podDirectory: string): string {
  return `${podDirectory}/env`;
}

function pathOf(podDirectory: string, id: string): string {
  return `${directoryOf(podDirectory)}/${id}`;
}
