import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cniError } from './cni-error.ts';
import { field, parseJsonObject } from './json-field.ts';
import type { PluginConfig } from './network-config.ts';

export const cniCommands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;

export type CniCommand = (typeof cniCommands)[number];

/** One call of a plugin: what the environment and standard input carry (SPEC.md, section 2). */
export interface CniInvocation {
  readonly command: CniCommand;
  readonly containerId: string; // '' where the command has none
  /** Path of the network namespace; '' if it is gone (DEL). */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS. */
  readonly args: Readonly<Record<string, string>>;
  /** Directories that hold plugins. */
  readonly path: readonly string[];
  readonly config: PluginConfig;
}

/**
 * Calls a plugin by its type, in this process or as a program. ADD returns the result document, VERSION the versions;
 * the rest nothing. @throws PodwrightError with `detail.cniCode`; E_NOT_FOUND if there is no such plugin
 */
export type CniInvoker = (
  plugin: string,
  invocation: CniInvocation,
  signal: AbortSignal,
) => Promise<JsonObject | undefined>;

/** The environment of a plugin that runs as a program. */
export function renderEnvironment(invocation: CniInvocation): Readonly<Record<string, string>> {
  const args = Object.entries(invocation.args).map(([name, value]) => `${name}=${value}`);
  return {
    CNI_COMMAND: invocation.command,
    CNI_CONTAINERID: invocation.containerId,
    CNI_NETNS: invocation.netns,
    CNI_IFNAME: invocation.ifname,
    CNI_ARGS: args.join(';'),
    CNI_PATH: invocation.path.join(':'),
  };
}

/** `K=V;K2=V2`. @throws {E_INVALID} */
export function parseArgs(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(';').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at <= 0) throw cniError(4, `parse CNI_ARGS: ${JSON.stringify(pair)} is not KEY=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** What a program that ended said. @throws PodwrightError built from its error document, or from what it printed instead */
export function parseReply(
  plugin: string,
  command: CniCommand,
  ended: { readonly exitCode: number; readonly stdout: string; readonly stderr: string },
): JsonObject | undefined {
  const what = `${plugin} ${command}`;
  if (ended.exitCode === 0)
    return ended.stdout.trim() === '' ? undefined : parseJsonObject(ended.stdout, `${what} output`);
  let document: JsonObject;
  try {
    document = parseJsonObject(ended.stdout, `${what} error`);
  } catch (cause) {
    const said = (ended.stdout + ended.stderr).trim().slice(0, 1000) || 'nothing printed';
    throw new PodwrightError('E_INTERNAL', `${what}: exit code ${ended.exitCode}: ${said}`, { cause });
  }
  const details = field.string(document, 'details');
  const message = `${what}: ${field.string(document, 'msg') ?? `exit code ${ended.exitCode}`}`;
  throw cniError(field.number(document, 'code') ?? 999, message, details === undefined ? {} : { details });
}
