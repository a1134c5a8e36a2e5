/**
 * `npm run test:fresh`: the README's two commands, and what a closed network or a changed source says, on machines that have nothing but
 * Debian and some Node. `--whole` runs all tests in one, `--only debian,20` some machines.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { repositoryRoot } from '#bin/paths.ts';
import { describeError } from '#base/errors.ts';
import { runCommand } from '#test/vm/command.ts';
import {
  cacheRoot,
  ensureBaseRoot,
  ensureNodeArchives,
  readVagrantSetUp,
  type OtherNode,
} from './base-root.ts';
import { startMachine, type Machine, type StepResult } from './machine.ts';

/** What other people have, each with the npm that comes with it. */
const otherNodes: Readonly<Record<string, OtherNode>> = {
  '20': { node: '20.20.2', npm: '10.8.2' },
  '22': { node: '22.23.3', npm: '10.8.2' },
  '24': { node: '24.11.1', npm: '11.6.2' },
};
/** Of the second command; each of them needs root, the kernel or the native bindings. */
const shortSelection =
  'base native/launch/supervisor.kernel.test.ts native/launch/build.test.ts native/nft bin/setup bin/up agent/runtime/local-runtime.kernel.test.ts';
const shorterSelection = 'bin/setup/packages.test.ts native/launch/launcher.linux.test.ts';
const program = 'node_modules/node-linux-*/bin/node --disable-warning=ExperimentalWarning';

const startMs = performance.now();
const count = { passed: 0, failed: 0 };

function say(mark: string, text: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${mark.padEnd(4)} ${text}`);
}

/** One check: `claim` says what is wrong, if anything is. */
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

async function must(machine: Machine, what: string, script: string): Promise<StepResult> {
  const result = await machine.run(script);
  verdict(what, result, result.code === 0 ? undefined : 'failed');
  return result;
}

/** `sudo ./podwright up` until it is ready, a pod, Ctrl-C, and nothing that is left. */
async function upAndFirstPod(machine: Machine): Promise<void> {
  const ready = Promise.withResolvers<boolean>();
  const up = machine.run('echo $$ >/run/up.pid; exec ./podwright up', {
    onLine: (line) => {
      if (line.startsWith('ready in')) ready.resolve(true);
    },
  });
  void up.then(() => ready.resolve(false));
  if (await ready.promise) {
    say('', 'up: ready');
    await must(
      machine,
      'a pod runs',
      `KUBECONFIG=/var/lib/podwright/kubeconfig ${program} test/fresh/guest/first-pod.ts`,
    );
    await machine.run('kill -INT $(cat /run/up.pid)');
  }
  const result = await up;
  verdict('sudo ./podwright up', result, result.code === 0 ? undefined : 'failed');
  const left = await machine.run(
    'findmnt -n -l -o TARGET | grep podwright-; find /sys/fs/cgroup -name "podwright*"; find /run /var/lib -name "podwright*"; ' +
      'for pid in /proc/[0-9]*; do tr "\\0" " " <$pid/cmdline | grep "podwright[.]ts\\|supervisor[-]"; done',
  );
  verdict('Ctrl-C leaves nothing', left, left.stdout === '' ? undefined : 'something is left');
}

async function npmTest(machine: Machine, selection: string): Promise<StepResult> {
  const what = `sudo npm test${selection === '' ? '' : ` -- ${selection}`}`;
  const result = await machine.run(`npm test ${selection === '' ? '' : `-- ${selection}`}`, {
    onLine: selection === '' ? (line) => void console.log(line) : () => undefined,
  });
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

async function vagrant(machine: Machine): Promise<void> {
  const script = await readVagrantSetUp(join(repositoryRoot, 'Vagrantfile'));
  const copy =
    'mkdir /opt/podwright && tar -c --exclude=./node_modules --exclude=./build --exclude=./.git . | tar -x -C /opt/podwright';
  await machine.run(copy);
  await must(
    machine,
    "the Vagrantfile's set-up",
    `cd / && sh -c '${script.replaceAll("'", "'\\''")}' && /opt/podwright/podwright version`,
  );
}

type Start = (other?: OtherNode) => Promise<Machine>;

async function onDebian(start: Start, isWhole: boolean): Promise<void> {
  await using machine = await start();

  const versions = await machine.run('echo "Node $(node --version), npm $(npm --version)"');
  say('', `machine: Debian with ${versions.stdout.trim()}`);
  await upAndFirstPod(machine);
  await npmTest(machine, isWhole ? '' : shortSelection);
  await closedNetwork(machine);
  await changedSource(machine);
  await vagrant(machine);
}

async function onOtherNode(start: Start, other: OtherNode): Promise<void> {
  await using machine = await start(other);

  const versions = await machine.run('echo "Node $(node --version), npm $(npm --version)"');
  say('', `machine: ${versions.stdout.trim()}`);
  await npmTest(machine, shorterSelection);
}

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: { whole: { type: 'boolean', default: false }, only: { type: 'string' } },
  });
  if (process.getuid?.() !== 0) throw new Error('make a fresh machine: needs root');
  const only = values.only?.split(',');
  const step = (text: string): void => say('', text);
  const commit = (await runCommand('git', ['-C', repositoryRoot, 'rev-parse', 'HEAD'])).trim();
  const npmCache = join(cacheRoot(), 'npm');
  mkdirSync(npmCache, { recursive: true });
  const start: Start = async (other) =>
    startMachine(
      {
        base: await ensureBaseRoot(other === undefined ? 'npm' : 'minimal', step),
        repository: repositoryRoot,
        commit,
        npmCache,
        ...(other === undefined ? {} : { node: await ensureNodeArchives(other) }),
      },
      signal,
    );
  if (only === undefined || only.includes('debian')) await onDebian(start, values.whole);
  for (const [name, other] of Object.entries(otherNodes))
    if (only === undefined || only.includes(name)) await onOtherNode(start, other);
}

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interrupt.abort(new Error(`stopped by ${signal}`)));
try {
  await main(interrupt.signal);
} catch (error) {
  count.failed++;
  say('FAIL', describeError(error));
}
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
