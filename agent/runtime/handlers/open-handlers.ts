/** The handlers that a node was told of, each asked once what it is. */
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RuntimeSystem } from '#agent/runtime/system.ts';
import type { HandlerFeatures } from '#agent/runtime/runtime.ts';
import type { Handler } from './handler.ts';
import { createOciHandler, type HandlerHost } from './oci-handler.ts';

/** A RuntimeClass's handler, and the program that makes its containers. */
export interface HandlerProgram {
  readonly name: string;
  /** Absolute. */
  readonly program: string;
}

/** @throws {E_NOT_FOUND, E_INVALID} for a program that is not there, or is no OCI runtime */
export async function openHandlers(
  programs: readonly HandlerProgram[],
  ports: {
    readonly host: HandlerHost;
    readonly system: Pick<RuntimeSystem, 'mountSharedMemory'>;
    readonly log: Logger;
  },
): Promise<ReadonlyMap<string, Handler>> {
  const handlers = new Map<string, Handler>();
  for (const { name, program } of programs) {
    if (handlers.has(name))
      throw new PodwrightError('E_INVALID', `runtime handler ${name}: it is given twice`);
    const kind = await askKind(name, program, ports.host);
    const features = await askFeatures(program, kind, ports.host);
    handlers.set(name, createOciHandler({ name, program, ...kind, features, ...ports }));
  }
  return handlers;
}

async function askKind(
  name: string,
  program: string,
  { run }: HandlerHost,
): Promise<{ readonly leavesCgroups: boolean }> {
  const attempt = `runtime handler ${name}`;
  try {
    const { code, stdout, stderr } = await run(program, ['--version']);
    if (code !== 0)
      throw new PodwrightError('E_INVALID', `it ends with ${code}: ${stderr.trim().slice(0, 500)}`);
    return { leavesCgroups: stdout.startsWith('crun version ') };
  } catch (cause) {
    throw new PodwrightError(
      'E_INVALID',
      `${attempt}: ask ${program} for its version: ${describeError(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Runtimes without the command (crun before 1.9) are taken to have none, as other callers do; but every crun joins user namespaces. */
async function askFeatures(
  program: string,
  { leavesCgroups: isCrun }: { readonly leavesCgroups: boolean },
  { run }: HandlerHost,
): Promise<HandlerFeatures> {
  const { code, stdout } = await run(program, ['features']);
  return code === 0 ? parseFeatures(stdout) : { ...noFeatures, userNamespaces: isCrun };
}

const noFeatures: HandlerFeatures = { recursiveReadOnlyMounts: false, userNamespaces: false };

/** Of a document of runtime-spec, features.md. Pure. */
export function parseFeatures(text: string): HandlerFeatures {
  try {
    const said: { mountOptions?: unknown; linux?: { namespaces?: unknown } } = JSON.parse(text);
    const has = (list: unknown, word: string): boolean => Array.isArray(list) && list.includes(word);
    return {
      recursiveReadOnlyMounts: has(said.mountOptions, 'rro'),
      // What of the host's is mounted has its ids shifted before the runtime looks: it need not know how (linux.mountExtensions).
      userNamespaces: has(said.linux?.namespaces, 'user'),
    };
  } catch {
    return noFeatures;
  }
}
