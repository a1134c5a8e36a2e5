/**
 * The job: what pods of a node have for themselves, and what becomes of them when it is short of something or goes down, on real limits. What is
 * looked at is the kernel's and the API's word.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { events, nodes, pods } from '#api/schema/kind-ref.ts';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { systemClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { check, eventually, expectEqual, report, run, step } from './checks.ts';
import { findPodCgroups, nodeCgroup, processesOf, read } from './pod-cgroups.ts';
import {
  data,
  installAgent,
  installServer,
  mebibyte,
  nodeIsReady,
  nodeName,
  podOf,
  prepareHost,
  waitForRunning,
} from './vm-node.ts';

const configuration = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cpuManagerPolicy: static
cpuManagerReconcilePeriod: 5s
reservedSystemCPUs: "0"
topologyManagerPolicy: best-effort
memorySwap: {swapBehavior: LimitedSwap}
memoryThrottlingFactor: 0.8
podPidsLimit: 60
systemReserved: {memory: 64Mi}
enforceNodeAllocatable: [pods]
evictionHard: {memory.available: 64Mi, nodefs.available: 1%, pid.available: "10"}
evictionPressureTransitionPeriod: 5s
shutdownGracePeriod: 60s
shutdownGracePeriodCriticalPods: 20s
`;

const here = { namespace: 'default' } as const;
const forever = 'trap "exit 0" TERM; while :; do sleep 1; done';
const whole = { cpu: '1', memory: '64Mi' };

/** A swap of 64 MiB, where the kernel at hand has what it takes; otherwise why not. */
async function addSwap(): Promise<string | undefined> {
  try {
    const file = `${data}/swap`;
    await run('dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=64');
    await run('modprobe', 'loop').catch(() => '');
    const device = (await run('losetup', '--find', '--show', file)).trim();
    await run('mkswap', device);
    await run('swapon', device);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

function spec(pod: Pod, more: Partial<PodSpec>): Pod {
  return { ...pod, spec: { containers: [], ...pod.spec, ...more } };
}

async function start(client: ApiClient, pod: Pod): Promise<string> {
  await client.create(pods, pod, here);
  return waitForRunning(client, pod.metadata?.name ?? '');
}

function containerOf(uid: string): string {
  const [container] = findPodCgroups(uid)?.containers ?? [];
  if (container === undefined) throw new Error(`find the cgroup of pod ${uid}: none`);
  return container;
}

async function remove(client: ApiClient, name: string): Promise<void> {
  await client.delete(pods, { ...here, name }, { gracePeriodSeconds: 1 });
  await eventually(`pod ${name} gone`, async () => {
    const all = await client.list(pods, here);
    return all.items.some(({ metadata }) => metadata?.name === name) ? undefined : true;
  });
}

async function eventOf(client: ApiClient, reason: string): Promise<string> {
  return eventually(`event ${reason}`, async () => {
    const { items } = await client.list(events, {});
    return items.find((event) => event.reason === reason)?.message;
  });
}

/** A pod of class Guaranteed has a CPU alone, the others leave it, and have it again. */
async function checkPinning(client: ApiClient): Promise<void> {
  const shared = containerOf(await start(client, podOf('shared', forever, {})));
  expectEqual('before', read(shared, 'cpuset.cpus.effective'), '0-1');
  const alone = containerOf(await start(client, podOf('alone', forever, whole)));
  expectEqual('of the one', read(alone, 'cpuset.cpus.effective'), '1');
  expectEqual('no quota', read(alone, 'cpu.max'), 'max 100000');
  await eventually('the other leaves it', () =>
    read(shared, 'cpuset.cpus.effective') === '0' ? true : undefined,
  );
  await run('systemctl', 'restart', 'podwright-agent');
  await eventually('node Ready', () => nodeIsReady(client));
  expectEqual('after a restart', [read(alone, 'cpuset.cpus'), read(shared, 'cpuset.cpus')], ['1', '0']);
  await client.create(pods, podOf('more', forever, whole), here);
  // The scheduler sees no CPU that is left; a pod that names its node asks the node.
  await client.create(pods, spec(podOf('named', forever, whole), { nodeName }), here);
  const { reason } = await eventually('a second one is refused', async () => {
    const { status } = await client.get(pods, { ...here, name: 'named' });
    return status?.phase === 'Failed' ? status : undefined;
  });
  if (!['OutOfcpu', 'UnexpectedAdmissionError'].includes(reason ?? ''))
    throw new Error(`refused for ${reason}`);
  for (const name of ['more', 'named', 'alone']) await remove(client, name);
  await eventually('it is given back', () =>
    read(shared, 'cpuset.cpus.effective') === '0-1' ? true : undefined,
  );
  await remove(client, 'shared');
}

async function checkNodeLimits(): Promise<void> {
  const [, kib = '0'] = /^MemTotal:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  expectEqual(
    'memory of all pods',
    read(`${nodeCgroup}/kubepods`, 'memory.max'),
    String(Number(kib) * 1024 - 64 * mebibyte),
  );
  await eventually('weights of the classes', () =>
    read(`${nodeCgroup}/kubepods/besteffort`, 'cpu.weight') === '1' ? true : undefined,
  );
}

async function checkSwapAndProtection(client: ApiClient, swapProblem: string | undefined): Promise<void> {
  const pod = podOf('swapping', forever, {});
  const [container] = pod.spec?.containers ?? [];
  if (container === undefined) throw new Error('no container');
  const resources = { requests: { memory: '64Mi' }, limits: { memory: '128Mi' } };
  const cgroup = containerOf(await start(client, spec(pod, { containers: [{ ...container, resources }] })));
  expectEqual('memory.oom.group', read(cgroup, 'memory.oom.group'), '1');
  // Of the 64 MiB between request and limit eight tenths more.
  expectEqual('memory.high', read(cgroup, 'memory.high'), String(Math.floor((64 + 0.8 * 64) * 256) * 4096));
  if (swapProblem === undefined && existsSync(`${cgroup}/memory.swap.max`)) {
    const most = Number(read(cgroup, 'memory.swap.max'));
    if (!(most > 0 && most < 64 * mebibyte)) throw new Error(`memory.swap.max is ${most}`);
  }
  await remove(client, 'swapping');
}

async function checkHugePages(client: ApiClient): Promise<void> {
  const { status } = await client.get(nodes, { name: nodeName });
  expectEqual('of the node', status?.capacity?.['hugepages-2Mi'], '16Mi');
  const volumeMounts = [{ name: 'huge', mountPath: '/huge' }];
  const pod = podOf('huge', `grep -q "/huge hugetlbfs.*pagesize=2M" /proc/mounts || exit 3; ${forever}`, {
    cpu: '100m',
    memory: '32Mi',
    'hugepages-2Mi': '4Mi',
  });
  const containers = (pod.spec?.containers ?? []).map((each) => ({ ...each, volumeMounts }));
  const volumes = [{ name: 'huge', emptyDir: { medium: 'HugePages' } }];
  const cgroup = containerOf(await start(client, spec(pod, { containers, volumes })));
  expectEqual('hugetlb.2MB.max', read(cgroup, 'hugetlb.2MB.max'), String(4 * mebibyte));
  await remove(client, 'huge');
}

async function checkPids(client: ApiClient): Promise<void> {
  const uid = await start(client, podOf('pids', forever, {}));
  expectEqual('pids.max', read(findPodCgroups(uid)?.pod ?? '', 'pids.max'), '60');
  await remove(client, 'pids');
}

/** The whole container ends, and who it was is said. */
async function checkOutOfMemory(client: ApiClient): Promise<void> {
  const script = 'sleep 1000 & tail /dev/zero & wait $!; sleep 1000';
  await client.create(pods, podOf('memory', script, { memory: '24Mi' }), here);
  const terminated = await eventually('the container ends', async () => {
    const { status } = await client.get(pods, { ...here, name: 'memory' });
    return status?.containerStatuses?.[0]?.state?.terminated;
  });
  expectEqual('state.terminated', [terminated.reason, terminated.exitCode], ['OOMKilled', 137]);
  const message = await eventOf(client, 'OOMKilling');
  if (!/^Memory cgroup out of memory: Killed process \d+ \(\S+\)$/.test(message)) throw new Error(message);
  await remove(client, 'memory');
}

/** A pod that takes what the node needs goes, and the node says why. */
async function checkMemoryPressure(client: ApiClient): Promise<void> {
  const script = 'mount | grep -q "/fill" && dd if=/dev/zero of=/fill/it bs=1M; sleep 1000';
  const pod = podOf('greedy', script, {});
  const containers = (pod.spec?.containers ?? []).map((each) => ({
    ...each,
    volumeMounts: [{ name: 'fill', mountPath: '/fill' }],
  }));
  const volumes = [{ name: 'fill', emptyDir: { medium: 'Memory', sizeLimit: '8Gi' } }];
  await client.create(pods, spec(pod, { containers, volumes }), here);
  const status = await eventually('it is evicted', async () => {
    const found = await client.get(pods, { ...here, name: 'greedy' });
    return found.status?.phase === 'Failed' ? found.status : undefined;
  });
  if (status.reason === 'Evicted' && status.message?.includes('memory') === true) {
    const target = status.conditions?.find(({ type }) => type === 'DisruptionTarget');
    expectEqual('DisruptionTarget', target?.reason, 'TerminationByKubelet');
  } else
    expectEqual('reason of its end', status.containerStatuses?.[0]?.state?.terminated?.reason, 'OOMKilled');
  await remove(client, 'greedy');
  await eventually('the node has memory again', async () => {
    const { status: node } = await client.get(nodes, { name: nodeName });
    return node?.conditions?.find(({ type, status: is }) => type === 'MemoryPressure' && is === 'False');
  });
}

/** Once more what a controller does: the node may learn of its shortage after the kernel ended who made it, and turns the next pods away for as long as it lasts. */
async function startOnceAdmitted(client: ApiClient, pod: Pod): Promise<string> {
  const name = pod.metadata?.name ?? '';
  await client.create(pods, pod, here);
  return eventually(`pod ${name} Running`, async () => {
    const { metadata, status } = await client.get(pods, { ...here, name });
    if (status?.phase === 'Running') return metadata?.uid;
    if (status?.reason !== 'Evicted') return undefined;
    await remove(client, name);
    await client.create(pods, pod, here);
    return undefined;
  });
}

/** logind holds the machine for the agent, which ends its pods in turns and lets go; SIGPWR says the same. */
async function checkShutdown(client: ApiClient): Promise<void> {
  const held = await run('systemd-inhibit', '--list', '--no-pager').catch(describeError);
  const first = await startOnceAdmitted(client, podOf('first', forever, {}));
  const pid = (await run('systemctl', 'show', '--property=MainPID', '--value', 'podwright-agent')).trim();
  await run('kill', '-PWR', pid);
  const status = await eventually('the pod ends', async () => {
    const found = await client.get(pods, { ...here, name: 'first' });
    return found.status?.phase === 'Failed' ? found.status : undefined;
  });
  expectEqual(
    'its words',
    [status.reason, status.message],
    ['Terminated', 'Pod was terminated in response to imminent node shutdown.'],
  );
  const ready = await eventually('the node says so', async () => {
    const { status: node } = await client.get(nodes, { name: nodeName });
    return node?.conditions?.find(({ type, status: is }) => type === 'Ready' && is === 'False');
  });
  expectEqual('Ready', [ready.reason, ready.message], ['KubeletNotReady', 'node is shutting down']);
  const left = findPodCgroups(first)?.containers.flatMap(processesOf) ?? [];
  expectEqual('processes left', left, []);
  if (!held.includes('kubelet'))
    report({ kind: 'step', text: `logind is not here: ${held.split('\n')[0]}`, ms: 0 });
}

async function main(): Promise<void> {
  await step('prepare the host', prepareHost);
  writeFileSync('/proc/sys/vm/nr_hugepages', '8');
  const swapProblem = await step('swap', addSwap);
  if (swapProblem !== undefined) report({ kind: 'step', text: `no swap: ${swapProblem}`, ms: 0 });
  writeFileSync(`${data}/kubelet.yaml`, configuration);
  await step('podwright install server', installServer);
  await step('podwright install agent, node Ready', () => installAgent('--config', `${data}/kubelet.yaml`));
  const access = loadKubeconfig(`${data}/server/kubeconfig`, systemClock);
  await using transport = createHttpTransport(access);

  const client = createApiClient({ transport, userAgent: 'podwright-vm-test' });
  await eventually('node Ready', () => nodeIsReady(client));
  await check('pods together have what is left of the node', checkNodeLimits);
  await check('a Guaranteed pod has a CPU alone, over a restart too', () => checkPinning(client));
  await check('memory.high, memory.oom.group and swap are as said', () =>
    checkSwapAndProtection(client, swapProblem),
  );
  await check('huge pages are counted, limited and mounted', () => checkHugePages(client));
  await check('podPidsLimit is in the kernel', () => checkPids(client));
  await check('all of a container out of memory ends, and an event names the process', () =>
    checkOutOfMemory(client),
  );
  await check('a pod that takes the node’s memory is ended', () => checkMemoryPressure(client));
  await check('pods end before the machine goes down', () => checkShutdown(client));
}

// Not where it is only loaded, for its compile cache.
if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    report({ kind: 'died', why: describeError(error) });
  }
  console.error(await run('journalctl', '--no-pager', '--output=cat', '--unit=podwright-agent'));
  report({ kind: 'through' });
}
