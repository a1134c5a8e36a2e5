/**
 * `npm run test:fresh`: the README's two commands, and what a closed network or a changed source says, on machines that have nothing but
 * Debian and some Node. `--whole` runs all tests in one, `--only debian,20` some machines.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { shellWord } from '#base/shell-word.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { describeError } from '#base/errors.ts';
import { runCommand } from '#test/vm/command.ts';
import {
  cacheRoot,
  ensureMinimalRoot,
  ensureNodeArchives,
  ensureNpmRoot,
  readVagrantSetUp,
  removeAbandonedMaking,
  type Making,
  type OtherNode,
} from './base-root.ts';
import { startMachine, type Machine, type StepResult } from './machine.ts';

/** What other people have, each with the npm that comes with it. */
const otherNodes: Readonly<Record<string, OtherNode>> = {
  '20': { node: '20.20.2', npm: '10.8.2' },
  '22': { node: '22.23.3', npm: '10.8.2' },
  '24': { node: '24.11.1', npm: '11.6.2' },
};
/** Of the second command: what needs root, the kernel, the native bindings and the supervisor as it comes; about twenty seconds. */
const shortSelection =
  'native/launch/supervisor.kernel.test.ts native/launch/build.test.ts native/nft bin/setup/packages.test.ts bin/up agent/runtime/local-runtime.kernel.test.ts';
const shorterSelection = 'bin/setup/packages.test.ts native/launch/launcher.linux.test.ts';
const program = 'node_modules/node-linux-*/bin/node --disable-warning=ExperimentalWarning';

/** From nothing, on two quiet cores, all of it takes about four minutes; what hangs is ended and named. */
const minutesMax = { short: 15, whole: 60 };

const startMs = performance.now();
const count = { passed: 0, failed: 0 };
/** What a time-out names. */
const running = new Set<string>();

function say(mark: string, text: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${mark.padEnd(4)} ${text}`);
}

/** One fresh machine and its name in what is printed. */
interface Subject {
  readonly machine: Machine;
  readonly name: string;
}

/** One check: `problem` says what is wrong, if anything is. */
function verdict(what: string, { code, stdout, stderr }: StepResult, problem: string | undefined): boolean {
  if (problem === undefined) {
    count.passed++;
    say('ok', what);
    return true;
  }
  count.failed++;
  say(
    'FAIL',
    `${what}: ${problem} (exit code ${code})\n--- stdout\n${stdout.slice(-8000)}\n--- stderr\n${stderr.slice(-8000)}\n---`,
  );
  return false;
}

/** What it does is named where the time runs out. */
async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  running.add(what);
  try {
    return await work();
  } finally {
    running.delete(what);
  }
}

async function must({ machine, name }: Subject, what: string, script: string): Promise<StepResult> {
  const result = await during(`${name}: ${what}`, () => machine.run(script));
  verdict(`${name}: ${what}`, result, result.code === 0 ? undefined : 'failed');
  return result;
}

/** `sudo ./podwright up` until it is ready, a pod, Ctrl-C, and nothing that is left. */
async function upAndFirstPod(subject: Subject): Promise<void> {
  const { machine, name } = subject;
  const ready = Promise.withResolvers<boolean>();
  const up = during(`${name}: sudo ./podwright up`, () =>
    machine.run('echo $$ >/run/up.pid; exec ./podwright up', {
      onLine: (line) => {
        if (line.startsWith('ready in')) ready.resolve(true);
      },
    }),
  );
  void up.catch(() => undefined).then(() => ready.resolve(false));
  if (await ready.promise) {
    say('', `${name}: up is ready`);
    await must(
      subject,
      'a pod runs',
      `KUBECONFIG=/var/lib/podwright/kubeconfig ${program} test/fresh/guest/first-pod.ts`,
    );
    await machine.run('kill -INT $(cat /run/up.pid)');
  }
  const result = await up;
  verdict(`${name}: sudo ./podwright up, and Ctrl-C`, result, result.code === 0 ? undefined : 'failed');
  const left = await machine.run(whatIsLeft);
  verdict(`${name}: Ctrl-C leaves nothing`, left, left.stdout === '' ? undefined : 'something is left');
}

/** Patterns that do not match this script's own text: it is the command line of the shell that runs it. */
const whatIsLeft = [
  'findmnt -n -l -o TARGET | grep podwright-',
  'find /sys/fs/cgroup -name "podwright*"',
  'find /run /var/lib -name "podwright*"',
  'for pid in /proc/[0-9]*; do tr "\\0" " " <$pid/cmdline 2>/dev/null | grep "podwright[.]ts\\|supervisor[-]"; done',
].join('; ');

async function npmTest({ machine, name }: Subject, selection: string): Promise<StepResult> {
  const what = `${name}: sudo npm test${selection === '' ? '' : ` -- ${selection}`}`;
  const result = await during(what, () =>
    machine.run(`npm test ${selection === '' ? '' : `-- ${selection}`}`, {
      onLine: selection === '' ? (line) => void console.log(line) : () => undefined,
    }),
  );
  const tests = /Tests .*/.exec(result.stdout.replaceAll(/\u001b\[\d+m/g, ''))?.[0] ?? 'no test';
  verdict(`${what}: ${tests}`, result, result.code === 0 && tests.includes('passed') ? undefined : 'failed');
  return result;
}

/** A registry whose port is closed, on a checkout without packages and on one whose lockfile is ahead of them. */
async function closedNetwork(machine: Machine): Promise<void> {
  const copy =
    'rm -rf /tmp/c && mkdir /tmp/c && tar -c --exclude=./node_modules --exclude=./build . | tar -x -C /tmp/c && cd /tmp/c';
  const first = await machine.run(`${copy} && timeout 30 ./podwright up`, { offline: true });
  const lines = first.stderr.split('\n').filter((line) => line !== '' && !line.endsWith('(once)'));
  const isSaid =
    first.code === 1 && lines.length === 1 && /ECONNREFUSED.*copy node_modules/.test(first.stderr);
  verdict('no network: one line with what to do', first, isSaid ? undefined : 'not in one line');
  const later = await machine.run(
    'cp -a node_modules /tmp/c/node_modules && cp -a build/busybox /tmp/c/build/busybox && cd /tmp/c && echo >>package-lock.json && sleep 1 && touch package-lock.json && ./podwright image --help >/dev/null && ./podwright version',
    { offline: true },
  );
  const isKept = later.code === 0 && /setup is due/.test(later.stderr);
  verdict(
    'no network, newer lockfile: commands work and say that setup is due',
    later,
    isKept ? undefined : 'no',
  );
  const again = await machine.run('cd /tmp/c && ./podwright setup && ./podwright version && rm -rf /tmp/c', {
    offline: true,
  });
  verdict(
    'no network, packages copied: setup takes them',
    again,
    again.code === 0 && !again.stderr.includes('install') ? undefined : 'no',
  );
}

async function changedSource(machine: Machine): Promise<void> {
  const file = 'native/launch/supervisor/log.c';
  const result = await machine.run(
    `cp ${file} /tmp/kept && echo >>${file} && ./podwright up; code=$?; cp /tmp/kept ${file}; exit $code`,
  );
  const isSaid =
    result.code === 1 && /^podwright: build supervisor: .*gcc is not installed/m.test(result.stderr);
  verdict('a changed supervisor without a compiler: up says so at once', result, isSaid ? undefined : 'no');
}

async function vagrant(subject: Subject): Promise<void> {
  const script = await readVagrantSetUp(join(repositoryRoot, 'Vagrantfile'));
  const copy =
    'mkdir /opt/podwright && tar -c --exclude=./node_modules --exclude=./build --exclude=./.git . | tar -x -C /opt/podwright';
  await subject.machine.run(copy);
  await must(
    subject,
    "the Vagrantfile's set-up",
    `cd / && sh -c ${shellWord(script)} && /opt/podwright/podwright version`,
  );
}

type Start = (base: string, node?: readonly [string, string]) => Promise<Machine>;

const versionsOf = async (machine: Machine): Promise<string> =>
  (await machine.run('echo "Node $(node --version), npm $(npm --version)"')).stdout.trim();

async function onDebian(machine: Machine, isWhole: boolean): Promise<void> {
  const subject = { machine, name: 'Debian' };
  say('', `Debian: ${await versionsOf(machine)}`);
  await upAndFirstPod(subject);
  await npmTest(subject, isWhole ? '' : shortSelection);
  await during('Debian: closed network', () => closedNetwork(machine));
  await during('Debian: changed source', () => changedSource(machine));
  await vagrant(subject);
}

async function onOtherNode(machine: Machine, name: string, isLast: boolean): Promise<void> {
  const subject = { machine, name: `Node ${name}` };
  say('', `${subject.name}: ${await versionsOf(machine)}`);
  if (isLast) await upAndFirstPod(subject);
  await npmTest(subject, shorterSelection);
}

/** A machine with Debian's Node, and beside it one after the other those with other Nodes: two at a time, as CI has two cores. */
async function main({ isWhole, only }: Options, signal: AbortSignal): Promise<void> {
  const making: Making = { step: (text) => say('', text), signal };
  const commit = (await runCommand('git', ['-C', repositoryRoot, 'rev-parse', 'HEAD'])).trim();
  const npmCache = join(cacheRoot(), 'npm');
  mkdirSync(npmCache, { recursive: true });
  await removeAbandonedMaking();
  const start: Start = async (base, node) => {
    const archives = node === undefined ? {} : { node };
    return startMachine({ base, repository: repositoryRoot, commit, npmCache, ...archives }, signal);
  };
  const others = Object.entries(otherNodes).filter(([name]) => only?.includes(name) ?? true);
  const fetched = during('fetch Node', async () => {
    const all: (readonly [string, string])[] = [];
    for (const [, other] of others) all.push(await ensureNodeArchives(other, making));
    return all;
  });
  void fetched.catch(() => undefined); // Whoever waits for it is told.
  const minimal = await during('make a minimal root', () => ensureMinimalRoot(making));

  const debian = async (): Promise<void> => {
    const base = await during("make a root with Debian's npm", () => ensureNpmRoot(minimal, making));
    await using machine = await start(base);

    await onDebian(machine, isWhole);
  };
  const otherOnes = async (): Promise<void> => {
    const archives = await fetched;
    for (const [index, [name]] of others.entries()) {
      await using machine = await start(minimal, archives[index]);

      await onOtherNode(machine, name, index === others.length - 1);
    }
  };
  const ends = await Promise.allSettled([
    ...(only === undefined || only.includes('debian') ? [debian()] : []),
    ...(others.length > 0 ? [otherOnes()] : []),
  ]);
  signal.throwIfAborted();
  for (const end of ends) if (end.status === 'rejected') fail(end.reason);
}

interface Options {
  readonly isWhole: boolean;
  /** Names of machines; all where undefined. */
  readonly only: readonly string[] | undefined;
}

function fail(error: unknown): void {
  count.failed++;
  say('FAIL', describeError(error));
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: { whole: { type: 'boolean', default: false }, only: { type: 'string' } },
  });
  if (process.getuid?.() !== 0) throw new Error('make a fresh machine: needs root');
  return { isWhole: values.whole, only: values.only?.split(',') };
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
try {
  const options = parseOptions();
  const minutes = options.isWhole ? minutesMax.whole : minutesMax.short;
  const timer = setTimeout(() => {
    const what = [...running].join('; ') || 'starting';
    stop.abort(new Error(`not through after ${minutes} minutes; it was at: ${what}`));
  }, minutes * 60_000);
  await main(options, stop.signal);
  clearTimeout(timer);
} catch (error) {
  fail(error);
}
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed === 0 ? 0 : 1);
