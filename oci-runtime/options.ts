/** The command line that containerd's shim, conmon and people write to an OCI runtime (runc's man pages). Pure. */
import { PodwrightError } from '#base/errors.ts';

/** What an option takes: nothing, a value, or values each time that it is given; or why it is refused. */
type Taking = 'flag' | 'value' | 'values' | { readonly refused: string };

interface CommandLine {
  readonly options: Readonly<Record<string, Taking>>;
  /** Of one letter. */
  readonly short?: Readonly<Record<string, string>>;
  /** Operands at least and at most. What follows the last operand that is needed is not looked into. */
  readonly operands: readonly [number, number];
  readonly usage: string;
}

const launching = {
  bundle: 'value',
  'console-socket': 'value',
  'pid-file': 'value',
  'no-new-keyring': 'flag',
  'no-pivot': { refused: 'a root without pivot_root can be left; it is on a RAM disk: bind it on itself' },
  'preserve-fds': 'value',
} as const satisfies CommandLine['options'];

export const globalLine: CommandLine = {
  options: {
    root: 'value',
    log: 'value',
    'log-format': 'value',
    debug: 'flag',
    rootless: 'value',
    criu: { refused: 'containers are not checkpointed' },
    'systemd-cgroup': { refused: 'systemd is not asked for cgroups; use the cgroupfs manager' },
    'cgroup-manager': 'value',
    version: 'flag',
    help: 'flag',
  },
  short: { v: 'version', h: 'help' },
  operands: [0, Infinity],
  usage: '[--root DIR] [--log FILE] [--log-format text|json] [--cgroup-manager cgroupfs|disabled] COMMAND …',
};

export type CommandName =
  | 'create'
  | 'run'
  | 'start'
  | 'state'
  | 'kill'
  | 'delete'
  | 'exec'
  | 'ps'
  | 'pause'
  | 'resume'
  | 'update'
  | 'events'
  | 'features'
  | 'list';

export const commandLines: Readonly<Record<CommandName, CommandLine>> = {
  create: { options: launching, short: { b: 'bundle' }, operands: [1, 1], usage: 'create [--bundle DIR] ID' },
  run: {
    options: { ...launching, detach: 'flag', keep: 'flag', 'no-subreaper': 'flag' },
    short: { b: 'bundle', d: 'detach' },
    operands: [1, 1],
    usage: 'run [--bundle DIR] [--detach] ID',
  },
  start: { options: {}, operands: [1, 1], usage: 'start ID' },
  state: { options: {}, operands: [1, 1], usage: 'state ID' },
  kill: {
    options: { all: 'flag' },
    short: { a: 'all' },
    operands: [1, 2],
    usage: 'kill [--all] ID [SIGNAL]',
  },
  delete: {
    options: { force: 'flag' },
    short: { f: 'force' },
    operands: [1, 1],
    usage: 'delete [--force] ID',
  },
  exec: {
    options: {
      ...{ 'console-socket': 'value', cwd: 'value', env: 'values', tty: 'flag', user: 'value' },
      ...{ 'additional-gids': 'values', process: 'value', detach: 'flag', 'pid-file': 'value' },
      ...{ 'no-new-privs': 'flag', cap: 'values', apparmor: 'value', 'preserve-fds': 'value' },
      'ignore-paused': 'flag',
      'process-label': { refused: 'SELinux labels are not set' },
      cgroup: { refused: 'an exec goes where the container is' },
    },
    short: { e: 'env', t: 'tty', u: 'user', g: 'additional-gids', p: 'process', d: 'detach', c: 'cap' },
    operands: [1, Infinity],
    usage: 'exec [--process FILE] ID [COMMAND …]',
  },
  ps: {
    options: { format: 'value' },
    short: { f: 'format' },
    operands: [1, Infinity],
    usage: 'ps [--format json|table] ID',
  },
  pause: { options: {}, operands: [1, 1], usage: 'pause ID' },
  resume: { options: {}, operands: [1, 1], usage: 'resume ID' },
  update: {
    options: {
      resources: 'value',
      ...{ memory: 'value', 'memory-reservation': 'value', 'memory-swap': 'value' },
      ...{
        'cpu-share': 'value',
        'cpu-quota': 'value',
        'cpu-period': 'value',
        'cpu-burst': 'value',
        'cpu-idle': 'value',
      },
      ...{ 'cpuset-cpus': 'value', 'cpuset-mems': 'value', 'pids-limit': 'value', 'blkio-weight': 'value' },
    },
    short: { r: 'resources' },
    operands: [1, 1],
    usage: 'update [--resources FILE] ID',
  },
  events: {
    options: { interval: 'value', stats: 'flag' },
    operands: [1, 1],
    usage: 'events [--stats] [--interval 5s] ID',
  },
  features: { options: {}, operands: [0, 0], usage: 'features' },
  list: {
    options: { format: 'value', quiet: 'flag' },
    short: { f: 'format', q: 'quiet' },
    operands: [0, 0],
    usage: 'list [--format json|table] [--quiet]',
  },
};

/** An empty one would be the working directory, in which others keep what is theirs. */
const directoryOptions: ReadonlySet<string> = new Set(['root', 'bundle']);

export interface ParsedLine {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** @throws {E_USAGE} for an option that is unknown or has no value, {E_UNSUPPORTED} for one that is refused */
export function parseLine(line: CommandLine, args: readonly string[]): ParsedLine {
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      at++;
      break;
    }
    // The standard input, or an operand: options come before these.
    if (!arg.startsWith('-') || arg === '-') break;
    const [, given = '', joined] = /^--?([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const name = line.short?.[given] ?? given;
    const taking = Object.hasOwn(line.options, name) ? line.options[name] : undefined;
    if (taking === undefined) throw new PodwrightError('E_USAGE', `${arg}: no such option; ${line.usage}`);
    if (typeof taking === 'object') {
      if (joined === 'false') continue;
      throw new PodwrightError('E_UNSUPPORTED', `${arg}: ${taking.refused}`);
    }
    if (taking === 'flag') {
      if (joined !== 'false') flags.add(name);
      continue;
    }
    const value = joined ?? args[++at];
    if (value === undefined) throw new PodwrightError('E_USAGE', `${arg}: it needs a value`);
    if (value === '' && directoryOptions.has(name))
      throw new PodwrightError('E_USAGE', `--${name}: the path is empty; name a directory`);
    values.set(name, taking === 'values' ? [...(values.get(name) ?? []), value] : [value]);
  }
  const operands = args.slice(at);
  const [least, most] = line.operands;
  if (operands.length < least || operands.length > most)
    throw new PodwrightError('E_USAGE', `usage: ${line.usage}`);
  return { flags, values, operands };
}

/** The last of an option's values. */
export function valueOf({ values }: ParsedLine, name: string): string | undefined {
  return values.get(name)?.at(-1);
}

/** Descriptors of the caller that the process is to keep. */
export function refuseDescriptors(line: ParsedLine): void {
  const count = valueOf(line, 'preserve-fds') ?? '0';
  if (count === '0') return;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `--preserve-fds ${count}: no descriptors but 0, 1 and 2 are handed on`,
  );
}

/** `5s`, `500ms`, as Go writes durations; a number is seconds. @throws E_USAGE */
export function parseDurationMs(text: string): number {
  const [, amount, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (amount === undefined) throw new PodwrightError('E_USAGE', `${text}: no duration; write 5s`);
  return Number(amount) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h'];
}
