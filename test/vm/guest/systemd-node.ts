/**
 * The job: a control plane and a node as units of systemd on a real unified cgroup v2 tree. What is looked at is the kernel's
 * and the API's word; podwright's own is not asked.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';

import { pods } from '#api/schema/kind-ref.ts';
import type { Pod, PodStatus } from '#api/generated/objects.ts';
import { systemClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { createApiClient } from '#client/api-client.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { check, eventually, expectEqual, report, run, step } from './checks.ts';
import {
  address,
  data,
  installAgent,
  installServer,
  mebibyte,
  nodeIsReady,
  podOf,
  podwright,
  prepareHost,
  waitForRunning,
} from './vm-node.ts';
import { findPodCgroups, nodeCgroup, processesOf, read, statOf, type PodCgroups } from './pod-cgroups.ts';

async function isGone(client: ApiClient, name: string): Promise<true | undefined> {
  try {
    await client.get(pods, { namespace: 'default', name });
    return undefined;
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
}

/** What must be the same before and after the agent's own restart. */
async function identityOf(client: ApiClient, name: string): Promise<unknown> {
  const { metadata, status } = await client.get(pods, { namespace: 'default', name });
  const cgroups = cgroupsOf(metadata?.uid ?? '');
  return {
    phase: status?.phase,
    containers: status?.containerStatuses?.map(({ containerID, restartCount }) => ({
      containerID,
      restartCount,
    })),
    supervisor: processesOf(cgroups.supervisor),
    processes: cgroups.containers.map(processesOf),
  };
}

function cgroupsOf(uid: string): PodCgroups {
  const cgroups = findPodCgroups(uid);
  if (cgroups === undefined) throw new Error(`find the cgroup of pod ${uid} below ${nodeCgroup}: none`);
  return cgroups;
}

const mainPid = async (): Promise<string> =>
  (await run('systemctl', 'show', '--property=MainPID', '--value', 'podwright-agent')).trim();

/** Restarts the agent in some way; its pods must not notice. */
async function checkRestart(client: ApiClient, name: string, how: () => Promise<unknown>): Promise<void> {
  const [pidBefore, before] = [await mainPid(), await identityOf(client, name)];
  await how();
  await eventually('the agent is ready as another process', async () => {
    const state = (
      await run('systemctl', 'show', '--property=ActiveState', '--value', 'podwright-agent')
    ).trim();
    const pid = await mainPid();
    return state === 'active' && pid !== '0' && pid !== pidBefore ? true : undefined;
  });
  await eventually('node Ready', () => nodeIsReady(client));
  expectEqual('the pod', await identityOf(client, name), before);
}

/** The agent is stopped for longer than the container lives. */
async function checkLateExit(client: ApiClient): Promise<void> {
  await client.create(pods, podOf('late', 'while [ ! -e /end/now ]; do sleep 0.2; done; exit 7', {}), {
    namespace: 'default',
  });
  const [container = ''] = cgroupsOf(await waitForRunning(client, 'late')).containers;
  const shell = Math.min(...processesOf(container)); // Not one of its sleeps.
  await run('systemctl', 'stop', 'podwright-agent');
  mkdirSync(`/proc/${shell}/root/end/now`, { recursive: true });
  await eventually('the container ends', () => (processesOf(container).length === 0 ? true : undefined));
  await run('systemctl', 'start', 'podwright-agent');
  const terminated = await eventually('its status', async () => {
    const { status } = await client.get(pods, { namespace: 'default', name: 'late' });
    return status?.containerStatuses?.[0]?.state?.terminated;
  });
  expectEqual('exit code', terminated.exitCode, 7);
}

/** Looked at when the server has run for longer than WatchdogSec. */
async function checkWatchdog(): Promise<void> {
  const of = (unit: string, property: string): Promise<string> =>
    run('systemctl', 'show', `--property=${property}`, '--value', unit).then((text) => text.trim());
  expectEqual('WatchdogUSec', await of('podwright-server', 'WatchdogUSec'), '1min');
  const readyAtUs = Number(await of('podwright-server', 'ActiveEnterTimestampMonotonic'));
  await eventually('the server to have run for more than a minute', async () => {
    const upUs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1e6;
    return upUs - readyAtUs > 65e6 ? true : undefined;
  });
  expectEqual(
    'restarts',
    [await of('podwright-server', 'NRestarts'), await of('podwright-agent', 'NRestarts')],
    ['0', '0'],
  );
}

async function checkOutOfMemory(client: ApiClient): Promise<void> {
  await client.create(pods, podOf('memory', 'exec tail /dev/zero', { memory: '32Mi' }), {
    namespace: 'default',
  });
  const terminated = await eventually('the container ends', async () => {
    const { status } = await client.get(pods, { namespace: 'default', name: 'memory' });
    return status?.containerStatuses?.[0]?.state?.terminated;
  });
  expectEqual('state.terminated', [terminated.reason, terminated.exitCode], ['OOMKilled', 137]);
  await client.delete(pods, { namespace: 'default', name: 'memory' });
}

async function checkCgroupTree(uid: string): Promise<void> {
  const { pod, supervisor, containers } = cgroupsOf(uid);
  const [container = '', ...others] = containers;
  expectEqual('containers beside the first', others, []);
  expectEqual('processes in the pod itself', processesOf(pod), []);
  expectEqual('processes of the supervisor', processesOf(supervisor).length, 1);
  expectEqual(
    'limits of the container',
    [read(container, 'memory.max'), read(container, 'cpu.max')],
    [String(64 * mebibyte), '20000 100000'],
  );
  expectEqual(
    'limits of the pod',
    [read(pod, 'memory.max'), read(pod, 'cpu.max')],
    [String(64 * mebibyte), '20000 100000'],
  );
  const [agent = ''] =
    /^0::(.*)$/m.exec(readFileSync(`/proc/${await mainPid()}/cgroup`, 'utf8'))?.slice(1) ?? [];
  expectEqual("the agent's cgroup", agent, '/system.slice/podwright-agent.service');
}

async function checkThrottling(uid: string): Promise<void> {
  const [container = ''] = cgroupsOf(uid).containers;
  await eventually('nr_throttled above 0', () =>
    statOf(container, 'cpu.stat', 'nr_throttled') > 0 ? true : undefined,
  );
}

/** A resize reaches the kernel at both levels, up and down, in the same container; not below what is in use. */
async function checkResize(client: ApiClient, uid: string): Promise<void> {
  const at = { namespace: 'default', name: 'busy' };
  const { pod, containers } = cgroupsOf(uid);
  const [container = ''] = containers;
  const processes = processesOf(container);
  const resize = async (cpu: string, memory: string): Promise<void> => {
    const resources = { requests: { cpu, memory }, limits: { cpu, memory } };
    const body = { spec: { containers: [{ name: 'main', resources }] } };
    await client.patch(pods, at, { kind: 'strategic', body, subresource: 'resize' });
  };
  const statusOf = async (): Promise<PodStatus> => (await client.get(pods, at)).status ?? {};
  const isGiven = async (memory: string): Promise<true | undefined> => {
    const { containerStatuses = [] } = await statusOf();
    return containerStatuses[0]?.resources?.limits?.['memory'] === memory ? true : undefined;
  };
  const expectLimits = (memoryMax: number, cpuMax: string): void => {
    for (const cgroup of [pod, container]) {
      const got = [read(cgroup, 'memory.max'), read(cgroup, 'cpu.max')];
      expectEqual(`limits of ${cgroup}`, got, [String(memoryMax), cpuMax]);
    }
  };
  const weight = Number(read(container, 'cpu.weight'));
  await resize('300m', '96Mi');
  await eventually('status after growth', () => isGiven('96Mi'));
  expectLimits(96 * mebibyte, '30000 100000');
  if (Number(read(container, 'cpu.weight')) <= weight) throw new Error(`cpu.weight is still ${weight}`);
  await resize('300m', '4Ki');
  await eventually('PodResizeInProgress with reason Error', async () => {
    const { conditions = [] } = await statusOf();
    return conditions.find(({ type, reason }) => type === 'PodResizeInProgress' && reason === 'Error');
  });
  expectLimits(96 * mebibyte, '30000 100000');
  await resize('200m', '64Mi');
  await eventually('status after shrinking', () => isGiven('64Mi'));
  expectLimits(64 * mebibyte, '20000 100000');
  expectEqual('processes', processesOf(container), processes);
}

/** What of podwright is left on the host, in words; the job's own process is not. */
function findRemains(): readonly string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const below = mounts
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((path) => /podwright/.test(path) && path !== data);
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => commandLineOf(pid))
    .filter((command) => /podwright|supervisor/.test(command));
  const files = [nodeCgroup, '/run/podwright', '/etc/systemd/system/podwright-agent.service'];
  return [
    ...below.map((path) => `mount ${path}`),
    ...processes.map((command) => `process ${command}`),
    ...files.filter((path) => existsSync(path)).map((path) => `file ${path}`),
  ];
}

/** Empty when the process is a kernel thread or gone. */
function commandLineOf(pid: string): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    return text === '' ? [] : [text];
  } catch {
    return []; // It ended meanwhile.
  }
}

/** The other way to a unit: by a token, with nothing of the server's on the host. The unit goes on by the credentials alone. */
async function checkJoin(client: ApiClient): Promise<void> {
  await podwright('uninstall', 'agent', '--purge');
  const create = ['token', 'create', '--data', `${data}/server`, '--print-join-command'];
  const line = (await podwright(...create)).trim().split(' ').slice(1);
  await podwright(...line, '--install', '--data', `${data}/agent`, '--name', 'joined', '--node-ip', address);
  await eventually('node joined Ready', () => nodeIsReady(client, 'joined'));
  const unit = readFileSync('/etc/systemd/system/podwright-agent.service', 'utf8');
  expectEqual('the token in the unit', unit.includes(line[line.indexOf('--token') + 1] ?? ''), false);
  const { metadata, spec } = podOf('there', 'exec sleep 1000000', {});
  const there: Pod = { metadata, spec: { ...spec, containers: spec?.containers ?? [], nodeName: 'joined' } };
  await client.create(pods, there, { namespace: 'default' });
  await waitForRunning(client, 'there');
  await run('systemctl', 'restart', 'podwright-agent');
  expectEqual('the unit', (await run('systemctl', 'is-active', 'podwright-agent')).trim(), 'active');
  await waitForRunning(client, 'there');
}

async function checkNothingLeft(): Promise<void> {
  await podwright('uninstall', 'agent');
  await podwright('uninstall', 'server');
  expectEqual('remains', findRemains(), []);
  const links = JSON.parse(await run('ip', '-json', 'link')) as readonly { readonly ifname: string }[];
  expectEqual('links', links.map(({ ifname }) => ifname).toSorted(), ['eth0', 'lo']);
  expectEqual('nftables', await run('nft', 'list', 'tables'), '');
  // Nothing to do is no failure.
  await podwright('uninstall', 'agent');
}

async function main(): Promise<void> {
  await step('prepare the host', prepareHost);
  await step('podwright install server', installServer);
  await step('podwright install agent, node Ready', () => installAgent());
  const access = loadKubeconfig(`${data}/server/kubeconfig`, systemClock);
  await using transport = createHttpTransport(access);

  const client = createApiClient({ transport, userAgent: 'podwright-vm-test' });
  await eventually('node Ready', () => nodeIsReady(client));
  const limits = { cpu: '200m', memory: '64Mi' };
  await client.create(pods, podOf('busy', 'while :; do :; done', limits), { namespace: 'default' });
  await client.create(pods, podOf('steady', 'exec sleep 1000000', {}), { namespace: 'default' });
  const busy = await step('pods Running', async () => {
    await waitForRunning(client, 'steady');
    return waitForRunning(client, 'busy');
  });
  await check('a CPU limit of 200m throttles', () => checkThrottling(busy));
  await check('cgroups are as designed: limits, supervisor in a leaf of its own', () =>
    checkCgroupTree(busy),
  );
  await check('a resize reaches the cgroups of a running pod', () => checkResize(client, busy));
  await check('a container past its memory limit is OOMKilled with 137', () => checkOutOfMemory(client));
  await check('deleting a pod removes its cgroups', async () => {
    await client.delete(pods, { namespace: 'default', name: 'busy' });
    await eventually('pod gone', () => isGone(client, 'busy'));
    await eventually('cgroup gone', () => (findPodCgroups(busy) === undefined ? true : undefined));
  });
  await check('systemctl restart podwright-agent leaves pods as they are', () =>
    checkRestart(client, 'steady', () => run('systemctl', 'restart', 'podwright-agent')),
  );
  await check('systemctl kill -s KILL podwright-agent leaves pods as they are', () =>
    checkRestart(client, 'steady', () => run('systemctl', 'kill', '-s', 'KILL', 'podwright-agent')),
  );
  await check('a container that ended while no agent ran has its exit code', () => checkLateExit(client));
  await check('the watchdog is fed: no process ended for want of it', checkWatchdog);
  await check('podwright join --install makes a unit of a node that joined', () => checkJoin(client));
  await check('podwright uninstall leaves no process, cgroup, mount, link or table', checkNothingLeft);
}

// Not where it is only loaded, for its compile cache.
if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    report({ kind: 'died', why: describeError(error) });
  }
  console.error(
    await run(
      'journalctl',
      '--no-pager',
      '--output=cat',
      '--unit=podwright-server',
      '--unit=podwright-agent',
    ),
  );
  report({ kind: 'through' });
}
