import { statSync } from 'node:fs';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError } from '#base/errors.ts';
import { cniCodeOf, cniError, cniErrorCode, renderCniError } from '#api/cni/cni-error.ts';
import { cniCommands, parseArgs, type CniCommand, type CniInvocation } from '#api/cni/invocation.ts';
import { field, parseJsonObject } from '#api/cni/json-field.ts';
import { isNetworkName, type CniAttachment, type PluginConfig } from '#api/cni/network-config.ts';
import { parseResult, renderResult } from '#api/cni/result.ts';
import {
  cniVersions,
  isAtLeast,
  isCniVersion,
  latestCniVersion,
  unsaidCniVersion,
  type CniVersion,
} from '#api/cni/version.ts';
import type { CniPlugin, PluginCall, PluginHost } from './plugin.ts';

type Requirement = 'required' | 'optional' | 'absent';

interface EnvironmentRow {
  readonly name: string;
  readonly to: 'containerId' | 'netns' | 'ifname' | 'path';
  readonly needs: Readonly<Record<Exclude<CniCommand, 'VERSION'>, Requirement>>;
  /** What is wrong with a value that is there; undefined if nothing. */
  readonly objection: (value: string) => string | undefined;
}

/** Parameters by command (SPEC.md, section 2), as a table. */
const environmentTable: readonly EnvironmentRow[] = [
  {
    name: 'CNI_CONTAINERID',
    to: 'containerId',
    needs: { ADD: 'required', DEL: 'required', CHECK: 'required', GC: 'absent', STATUS: 'absent' },
    objection: (value) => (isNetworkName(value) ? undefined : 'must match [a-zA-Z0-9][a-zA-Z0-9_.-]*'),
  },
  {
    name: 'CNI_NETNS',
    to: 'netns',
    needs: { ADD: 'required', DEL: 'optional', CHECK: 'required', GC: 'absent', STATUS: 'absent' },
    objection: (value) => (value.startsWith('/') ? undefined : 'must be an absolute path'),
  },
  {
    name: 'CNI_IFNAME',
    to: 'ifname',
    needs: { ADD: 'required', DEL: 'required', CHECK: 'required', GC: 'absent', STATUS: 'absent' },
    objection: objectToIfname,
  },
  {
    name: 'CNI_PATH',
    to: 'path',
    needs: { ADD: 'required', DEL: 'required', CHECK: 'required', GC: 'required', STATUS: 'required' },
    objection: () => undefined,
  },
];

/** What a plugin's process gets. */
export interface PluginInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
}

/** What it leaves: everything it says, an error too, is one document on standard output. */
export interface PluginOutput {
  readonly exitCode: 0 | 1;
  readonly stdout: string;
}

/** The whole main of a plugin, with the process's edges as values. `host` is made only for a call that needs it. */
export async function runPlugin(
  plugin: CniPlugin,
  input: PluginInput,
  host: () => PluginHost,
  signal: AbortSignal,
): Promise<PluginOutput> {
  let version: string = latestCniVersion;
  try {
    const command = parseCommand(input.env);
    if (command === 'VERSION') return success(renderVersions(input.stdin));
    const config = parseJsonObject(input.stdin, 'network configuration');
    if (isCniVersion(config['cniVersion'])) version = config['cniVersion'];
    const invocation = parseInvocation(command, input.env, config);
    return success(await dispatch(plugin, invocation, host(), signal));
  } catch (error) {
    return renderFailure(error, version);
  }
}

export function renderFailure(error: unknown, version: string = latestCniVersion): PluginOutput {
  return { exitCode: 1, stdout: `${JSON.stringify(renderCniError(error, version), undefined, 2)}\n` };
}

/** Runs one call of a plugin in this process: the same checks, without text in between. */
export async function dispatch(
  plugin: CniPlugin,
  invocation: CniInvocation,
  host: PluginHost,
  signal: AbortSignal,
): Promise<JsonObject | undefined> {
  if (invocation.command === 'VERSION') return renderVersions('');
  // In this process plugins find each other without CNI_PATH.
  const rows = environmentTable.filter((row) => row.to !== 'path');
  checkEnvironment(invocation.command, { ...invocation, path: invocation.path.join(':') }, rows);
  const version = checkConfig(invocation.config, invocation.command);
  const { config, path } = invocation;
  switch (invocation.command) {
    case 'ADD':
      return renderResult(await told(plugin.add(toCall(invocation), host, signal)), version);
    case 'DEL':
      return nothing(plugin.del(toCall(invocation), host, signal));
    case 'CHECK':
      return nothing(plugin.check(toCall(invocation), host, signal));
    case 'GC':
      return nothing(plugin.gc({ config, path }, readAttachments(config), host, signal));
    case 'STATUS':
      return nothing(plugin.status({ config, path }, host, signal));
    default:
      throw new TypeError('unreachable');
  }
}

/** An ADD that could not be taken down whole fails by what it failed with first, and says both. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const causes = causesOf(error);
    const [first] = causes;
    if (causes.length < 2) throw error;
    const message = causes.map(describeError).join('; and taking it down again: ');
    throw cniError(cniCodeOf(first), message, { cause: first });
  }
}

/** What was thrown first is first. */
function causesOf(error: unknown): readonly unknown[] {
  return error instanceof SuppressedError
    ? [...causesOf(error.suppressed), ...causesOf(error.error)]
    : [error];
}

async function nothing(work: Promise<void>): Promise<undefined> {
  await work;
  return undefined;
}

function success(document: JsonObject | undefined): PluginOutput {
  return { exitCode: 0, stdout: document === undefined ? '' : `${JSON.stringify(document, undefined, 2)}\n` };
}

function parseCommand(env: PluginInput['env']): CniCommand {
  const command = cniCommands.find((known) => known === env['CNI_COMMAND']);
  if (command !== undefined) return command;
  const said = env['CNI_COMMAND'] ?? '';
  throw cniError(
    cniErrorCode.invalidEnvironment,
    said === ''
      ? 'CNI_COMMAND is missing'
      : `CNI_COMMAND ${JSON.stringify(said)} is not one of ${cniCommands.join(', ')}`,
  );
}

function parseInvocation(
  command: Exclude<CniCommand, 'VERSION'>,
  env: PluginInput['env'],
  config: JsonObject,
): CniInvocation {
  const read = (name: string): string => env[name] ?? '';
  const values = {
    containerId: read('CNI_CONTAINERID'),
    netns: read('CNI_NETNS'),
    ifname: read('CNI_IFNAME'),
    path: read('CNI_PATH'),
  };
  checkEnvironment(command, values, environmentTable);
  return {
    ...values,
    command,
    args: parseArgs(read('CNI_ARGS')),
    path: values.path.split(':').filter((dir) => dir !== ''),
    config: config as PluginConfig, // `type` is the plugin itself, which is running.
  };
}

function checkEnvironment(
  command: Exclude<CniCommand, 'VERSION'>,
  values: Readonly<Record<EnvironmentRow['to'], string>>,
  rows: readonly EnvironmentRow[],
): void {
  const problems = rows.flatMap((row) => {
    const value = values[row.to];
    if (value === '') return row.needs[command] === 'required' ? [`${row.name} is missing`] : [];
    const objection = row.needs[command] === 'absent' ? undefined : row.objection(value);
    return objection === undefined ? [] : [`${row.name} ${JSON.stringify(value)} ${objection}`];
  });
  if (problems.length > 0)
    throw cniError(cniErrorCode.invalidEnvironment, `${command}: ${problems.join('; ')}`);
}

const commandSince: Partial<Record<CniCommand, CniVersion>> = {
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

function checkConfig(config: JsonObject, command: CniCommand): CniVersion {
  const version = config['cniVersion'] || unsaidCniVersion;
  if (!isCniVersion(version)) {
    throw cniError(
      cniErrorCode.incompatibleVersion,
      `cniVersion ${JSON.stringify(version)} is not one of ${cniVersions.join(', ')}`,
    );
  }
  const since = commandSince[command];
  if (since !== undefined && !isAtLeast(version, since)) {
    throw cniError(cniErrorCode.incompatibleVersion, `${command} needs cniVersion ${since}, not ${version}`);
  }
  if (!isNetworkName(field.string(config, 'name') ?? '')) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `network name ${JSON.stringify(config['name'])} is missing or not valid`,
    );
  }
  return version;
}

function toCall(invocation: CniInvocation): PluginCall {
  const previous = field.object(invocation.config, 'prevResult');
  const { containerId, ifname, args, path, config } = invocation;
  const netns = checkedNetns(invocation);
  return {
    containerId,
    netns,
    ifname,
    args,
    path,
    config,
    prevResult: previous === undefined ? undefined : parseResult(previous),
  };
}

/**
 * The path of a container that is gone may lead to the host's namespace by now (/proc/PID/ns/net of another process): nothing of the
 * host is taken for the container's. DEL gives back what is known without it. @throws code 8
 */
function checkedNetns({ command, netns }: CniInvocation): string {
  if (netns === '' || !isOwnNetns(netns)) return netns;
  if (command === 'DEL') return '';
  throw cniError(cniErrorCode.invalidNetns, `${command}: CNI_NETNS ${netns} is the namespace of the host`);
}

function isOwnNetns(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  const own = statSync('/proc/thread-self/ns/net', { throwIfNoEntry: false });
  return own?.ino === found.ino && own.dev === found.dev;
}

function readAttachments(config: JsonObject): readonly CniAttachment[] {
  const name =
    config['cni.dev/valid-attachments'] === undefined ? 'cni.dev/attachments' : 'cni.dev/valid-attachments';
  if (config[name] === undefined) {
    // An absent list is not an empty one: it must not remove everything.
    throw cniError(cniErrorCode.invalidNetworkConfig, 'GC: cni.dev/valid-attachments is missing');
  }
  return field.objects(config, name).map((item) => ({
    containerID: field.string(item, 'containerID') ?? '',
    ifname: field.string(item, 'ifname') ?? '',
  }));
}

function renderVersions(stdin: string): JsonObject {
  const asked = stdin.trim() === '' ? undefined : parseJsonObject(stdin, 'VERSION input')['cniVersion'];
  return { cniVersion: isCniVersion(asked) ? asked : latestCniVersion, supportedVersions: cniVersions };
}

/** An interface name as the kernel takes it (net/core/dev.c dev_valid_name; IFNAMSIZ 16). */
function objectToIfname(name: string): string | undefined {
  if (name.length > 15) return 'is longer than 15 characters';
  if (name === '.' || name === '..' || /[\s/:]/.test(name)) return 'is not an interface name';
  return undefined;
}
