/** `podwright-oci`: one command, and its end. */
import { readFileSync, writeSync } from 'node:fs';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { ociVersionMax, parseOciProcess, parseOciResources } from '#api/oci/runtime/config.ts';
import type { OciProcess, OciResources } from '#api/oci/runtime/config.ts';
import { createContainer } from './commands/create.ts';
import { deleteContainer } from './commands/delete.ts';
import {
  features,
  followEvents,
  listContainers,
  processesTable,
  stateOf,
  statsOf,
} from './commands/inspect.ts';
import { execIn } from './commands/join.ts';
import { runContainer } from './commands/run.ts';
import type { Runtime } from './commands/runtime.ts';
import { find, killContainer, parseSignal, pauseContainer, updateContainer } from './commands/signal.ts';
import { startContainer } from './commands/start.ts';
import { writeLog } from './host.ts';
import type { Log } from './host.ts';
import {
  commandLines,
  globalLine,
  parseDurationMs,
  parseLine,
  refuseDescriptors,
  valueOf,
} from './options.ts';
import type { CommandName, ParsedLine } from './options.ts';

export interface Program {
  readonly version: string;
  /** The binary of native/launch/runner. */
  readonly runner: string;
}

const rootDefault = '/run/podwright-oci';
/** Of what could not be executed; others tell it from what the command gave (runc, exec.go). */
const execFailedCode = 255;

/** Runs a command line; gives the exit code. What went wrong is said on standard error and in the log. */
export async function runMain(args: readonly string[], program: Program): Promise<number> {
  let log: Log = { path: undefined, isJson: false };
  let name = '';
  try {
    const global = parseLine(globalLine, args);
    log = { path: valueOf(global, 'log'), isJson: formatOf(global) === 'json' };
    if (global.flags.has('version'))
      return say(`podwright-oci version ${program.version}\nspec: ${ociVersionMax}\n`);
    name = global.operands[0] ?? 'help';
    if (global.flags.has('help') || name === 'help') return say(help());
    if (!Object.hasOwn(commandLines, name))
      throw new PodwrightError('E_USAGE', `${name}: no such command\n${help()}`);
    const runtime = {
      ...{ root: valueOf(global, 'root') ?? rootDefault, log, runner: program.runner },
      usesCgroups: managerOf(global) !== 'disabled',
    };
    const command = name as CommandName;
    return await commands[command](runtime, parseLine(commandLines[command], global.operands.slice(1)));
  } catch (error) {
    const text = describeError(error);
    if (log.path !== undefined) writeLog(log, 'error', text);
    writeSync(2, `podwright-oci: ${text}\n`);
    if (!isPodwrightError(error) && errnoOf(error) === undefined && error instanceof Error)
      writeSync(2, `${error.stack ?? ''}\n`);
    return name === 'exec' ? execFailedCode : 1;
  }
}

function help(): string {
  const lines = [globalLine, ...Object.values(commandLines)].map(({ usage }) => `  podwright-oci ${usage}\n`);
  return `usage:\n${lines.join('')}`;
}

function say(text: string): number {
  writeSync(1, text);
  return 0;
}

function formatOf(line: ParsedLine, name = 'log-format', otherwise = 'text'): string {
  const format = valueOf(line, name) ?? otherwise;
  if (format === 'json' || format === otherwise) return format;
  throw new PodwrightError('E_USAGE', `--${name} ${format}: it is ${otherwise} or json`);
}

function managerOf(line: ParsedLine): string {
  const rootless = valueOf(line, 'rootless') ?? 'auto';
  if (rootless === 'true')
    throw new PodwrightError('E_UNSUPPORTED', '--rootless true: it takes root to make containers');
  if (process.geteuid?.() !== 0) throw new PodwrightError('E_PERMISSION', 'it takes root to make containers');
  const manager = valueOf(line, 'cgroup-manager') ?? 'cgroupfs';
  if (manager === 'cgroupfs' || manager === 'disabled') return manager;
  throw new PodwrightError('E_UNSUPPORTED', `--cgroup-manager ${manager}: it is cgroupfs or disabled`);
}

type Command = (runtime: Runtime, line: ParsedLine) => Promise<number> | number;

const idOf = ({ operands }: ParsedLine): string => operands[0] ?? '';

const commands: Readonly<Record<CommandName, Command>> = {
  create: async (runtime, line) => {
    await createContainer(runtime, { ...launchOptions(line), waits: false });
    return 0;
  },
  run: (runtime, line) =>
    runContainer(runtime, launchOptions(line), {
      detaches: line.flags.has('detach'),
      keeps: line.flags.has('keep'),
    }),
  start: async (runtime, line) => {
    await startContainer(runtime, idOf(line));
    return 0;
  },
  state: (runtime, line) => say(stateOf(runtime, idOf(line))),
  kill: (runtime, line) => {
    const signal = parseSignal(line.operands[1] ?? 'TERM');
    killContainer(runtime, idOf(line), { signal, all: line.flags.has('all') });
    return 0;
  },
  delete: async (runtime, line) => {
    await deleteContainer(runtime, idOf(line), line.flags.has('force'));
    return 0;
  },
  exec: execute,
  ps: (runtime, line) => {
    const format = formatOf(line, 'format', 'table');
    return say(processesTable(runtime, idOf(line), { format, options: line.operands.slice(1) }));
  },
  pause: async (runtime, line) => {
    await pauseContainer(runtime, idOf(line), true);
    return 0;
  },
  resume: async (runtime, line) => {
    await pauseContainer(runtime, idOf(line), false);
    return 0;
  },
  update: async (runtime, line) => {
    await updateContainer(runtime, idOf(line), resourcesOf(line));
    return 0;
  },
  events: async (runtime, line) => {
    if (line.flags.has('stats')) return say(await statsOf(runtime, idOf(line)));
    const interval = valueOf(line, 'interval');
    await followEvents(runtime, idOf(line), {
      ...(interval === undefined ? {} : { intervalMs: parseDurationMs(interval) }),
      write: (text) => void say(text),
    });
    return 0;
  },
  features: () => say(features()),
  list: (runtime, line) =>
    say(listContainers(runtime, formatOf(line, 'format', 'table'), line.flags.has('quiet'))),
};

function launchOptions(line: ParsedLine): Parameters<typeof runContainer>[1] {
  refuseDescriptors(line);
  return {
    id: idOf(line),
    bundle: valueOf(line, 'bundle') ?? '.',
    consoleSocket: valueOf(line, 'console-socket'),
    pidFile: valueOf(line, 'pid-file'),
    hasOwnKeyring: !line.flags.has('no-new-keyring'),
  };
}

async function execute(runtime: Runtime, line: ParsedLine): Promise<number> {
  refuseDescriptors(line);
  const { state, status } = find(runtime, idOf(line));
  if (status === 'stopped') throw new PodwrightError('E_INVALID', 'cannot exec in a stopped container');
  if (status === 'paused' && !line.flags.has('ignore-paused'))
    throw new PodwrightError('E_INVALID', 'cannot exec in a paused container; --ignore-paused waits');
  const file = valueOf(line, 'process');
  const process =
    file === undefined ? processOf(state.config.process, line) : parseOciProcess(readFileSync(file, 'utf8'));
  return execIn(runtime, state, {
    process: line.flags.has('tty') ? { ...process, terminal: true } : process,
    options: {
      consoleSocket: valueOf(line, 'console-socket'),
      pidFile: valueOf(line, 'pid-file'),
      detaches: line.flags.has('detach'),
      hasOwnKeyring: true,
    },
  });
}

/** The container's own process, but for what the command line says. */
function processOf(own: OciProcess | undefined, line: ParsedLine): OciProcess {
  const args = line.operands.slice(1);
  if (own === undefined || args.length === 0)
    throw new PodwrightError('E_USAGE', `usage: ${commandLines.exec.usage}`);
  const { terminal: _terminal, user, ...rest } = own;
  const caps = line.values.get('cap') ?? [];
  const [uid, gid] = (valueOf(line, 'user') ?? '').split(':');
  const number = (text: string | undefined, otherwise: number | undefined): number | undefined => {
    if (text === undefined || text === '') return otherwise;
    if (!/^\d+$/.test(text)) throw new PodwrightError('E_USAGE', `--user ${text}: users have numbers here`);
    return Number(text);
  };
  const apparmorProfile = valueOf(line, 'apparmor');
  return {
    ...rest,
    args,
    cwd: valueOf(line, 'cwd') ?? own.cwd,
    env: [...(own.env ?? []), ...(line.values.get('env') ?? [])],
    user: {
      ...user,
      uid: number(uid, user?.uid) ?? 0,
      gid: number(gid, user?.gid) ?? 0,
      additionalGids: [
        ...(user?.additionalGids ?? []),
        ...(line.values.get('additional-gids') ?? []).map(Number),
      ],
    },
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
    ...(line.flags.has('no-new-privs') ? { noNewPrivileges: true } : {}),
    capabilities: withCapabilities(own.capabilities ?? {}, caps),
  };
}

function withCapabilities(
  own: NonNullable<OciProcess['capabilities']>,
  more: readonly string[],
): NonNullable<OciProcess['capabilities']> {
  if (more.length === 0) return own;
  const names = ['bounding', 'effective', 'permitted'] as const;
  return {
    ...own,
    ...Object.fromEntries(names.map((name) => [name, [...new Set([...(own[name] ?? []), ...more])]])),
  };
}

/** Of a file, `-` standard input, or of the options. */
function resourcesOf(line: ParsedLine): OciResources {
  const file = valueOf(line, 'resources');
  if (file !== undefined) return parseOciResources(readFileSync(file === '-' ? 0 : file, 'utf8'));
  const number = (name: string): number | undefined => {
    const text = valueOf(line, name);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text)) throw new PodwrightError('E_USAGE', `--${name} ${text}: not a whole number`);
    return Number(text);
  };
  const document = {
    memory: {
      limit: number('memory'),
      reservation: number('memory-reservation'),
      swap: number('memory-swap'),
    },
    cpu: {
      ...{ shares: number('cpu-share'), quota: number('cpu-quota'), period: number('cpu-period') },
      ...{ burst: number('cpu-burst'), idle: number('cpu-idle') },
      ...{ cpus: valueOf(line, 'cpuset-cpus'), mems: valueOf(line, 'cpuset-mems') },
    },
    pids: { limit: number('pids-limit') },
    blockIO: { weight: number('blkio-weight') },
  };
  // What is not given is left out of the text.
  return parseOciResources(JSON.stringify(document));
}
