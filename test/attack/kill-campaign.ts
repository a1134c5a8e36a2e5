/**
 * Kills agents, supervisors, the server and at last the launcher at random moments, while pods with volumes, hooks, host ports and
 * rotated logs come and go; then counts what was lost, and what was left.
 *
 *     node test/attack/kill-campaign.ts [--pods 60] [--seed N] [--at-once 20] [--pace-ms 3000]
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { repositoryRoot } from '#bin/paths.ts';
import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import { eventually, run, startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { pidsOf } from '#test/cluster/processes.ts';
import { randomFrom, type Random } from '#test/fuzz/damage.ts';
import { cgroupsBelow, lookAtNode, moreThan, type Counts } from './left-behind.ts';

export interface CampaignOptions {
  readonly pods: number;
  readonly seed: number;
  /** Pods that are there at one time. */
  readonly atOnce: number;
  /** Between kills, on average: long enough for a program to become ready now and then. */
  readonly paceMs: number;
  readonly say: (line: string) => void;
}

export interface CampaignReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  /** Writes that were acknowledged and are not there. */
  readonly lost: readonly string[];
  /** Pods whose log lacks a line, or has one twice. */
  readonly logFaults: readonly string[];
  /** Pods that ended otherwise than by their own exit although nobody killed their supervisor. */
  readonly ended: readonly string[];
  /** By node, what is there and was not before. */
  readonly left: Readonly<Record<string, Counts>>;
  /** What is left on the machine after `down`. */
  readonly leftAfterDown: readonly string[];
}

const nodes = ['node-1', 'node-2'] as const;
const image = 'podwright/demo:1';
const patienceMs = 240_000;

interface Campaign extends CampaignOptions {
  readonly random: Random;
  readonly kills: Record<string, number>;
  /** Uids of pods whose supervisor was killed: what they were doing is theirs to repeat. */
  readonly struck: Set<string>;
}

/** Numbered lines, slowly; of some pods so much at first that the log is rotated. */
function manifestOf(index: number): unknown {
  const isNoisy = index % 20 === 7;
  const lines = isNoisy ? 160_000 : 60;
  const script = `i=0; while [ $i -lt ${lines} ]; do echo line $i ${isNoisy ? 'x'.repeat(70) : ''}; i=$((i+1)); ${isNoisy ? '' : '[ $((i % 10)) = 0 ] && usleep 300000;'} done; echo end >> /disk/end`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `k${index}`, labels: { campaign: 'kill' } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 2,
      volumes: [
        { name: 'disk', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'config', configMap: { name: `c${index}` } },
      ],
      containers: [
        {
          name: 'main',
          image,
          command: ['sh', '-c', script],
          ports: index % 3 === 0 ? [{ containerPort: 80, hostPort: 20_000 + index }] : [],
          lifecycle: {
            postStart: { exec: { command: ['sh', '-c', 'echo start > /memory/hook'] } },
            preStop: { exec: { command: ['sh', '-c', 'echo stop > /memory/hook; usleep 100000'] } },
          },
          volumeMounts: [
            { name: 'disk', mountPath: '/disk' },
            { name: 'memory', mountPath: '/memory' },
            { name: 'config', mountPath: '/config' },
          ],
        },
      ],
    },
  };
}

const configOf = (index: number): unknown => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `c${index}`, labels: { campaign: 'kill' } },
  data: { a: String(index) },
});

/** Runs it to its end. The cluster, in a scratch directory of its own, goes with it. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { say, seed } = options;
  const campaign: Campaign = { ...options, random: randomFrom(seed), kills: {}, struck: new Set() };
  const parent = mkdtempSync(join(tmpdir(), 'podwright-kill-'));
  const dataDir = join(parent, 'data');
  try {
    const cluster = await startCluster({ nodes: nodes.length, dataDir });
    const before = await lookAtNodes(cluster);
    const stop = new AbortController();
    const killing = killOften(cluster, campaign, stop.signal);
    const acknowledged: string[] = [];
    const faults = { log: [] as string[], ended: [] as string[], lost: [] as string[] };
    for (let from = 0; from < options.pods; from += options.atOnce) {
      const wave = Array.from(
        { length: Math.min(options.atOnce, options.pods - from) },
        (_, index) => from + index,
      );
      await runWave(cluster, campaign, { wave, acknowledged, faults });
      say(`${from + wave.length} pods, ${JSON.stringify(campaign.kills)}`);
    }
    stop.abort();
    await killing;
    await removeAll(cluster);
    const left = await whatIsLeft(cluster, before);
    const leftAfterDown = await killLauncher(cluster, campaign);
    return {
      kills: campaign.kills,
      acknowledged: acknowledged.length,
      lost: faults.lost,
      logFaults: faults.log,
      ended: faults.ended,
      left,
      leftAfterDown,
    };
  } finally {
    if (existsSync(dataDir)) await run([`${repositoryRoot}/podwright`, 'down', '--purge', '--data', dataDir]);
    rmSync(parent, { recursive: true, force: true });
  }
}

async function lookAtNodes(cluster: TestCluster): Promise<Readonly<Record<string, Counts>>> {
  const state = await cluster.state();
  const looked = await Promise.all(nodes.map(async (name) => [name, await lookAtNode(state, name)] as const));
  return Object.fromEntries(looked);
}

interface Faults {
  readonly log: string[];
  readonly ended: string[];
  readonly lost: string[];
}

/** Makes pods, waits for their ends, looks at what they wrote, deletes them. */
async function runWave(
  cluster: TestCluster,
  campaign: Campaign,
  run: { readonly wave: readonly number[]; readonly acknowledged: string[]; readonly faults: Faults },
): Promise<void> {
  const { wave, faults } = run;
  const items = wave.flatMap((index) => [configOf(index), manifestOf(index)]);
  const made = new Set<string>();
  await eventually(
    'all are made',
    async () => {
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      const { stdout } = await cluster.kubectl('apply -f -', { input });
      for (const line of stdout.split('\n')) {
        const [name = '', verb] = line.split(' ');
        if (verb !== undefined) made.add(name);
      }
      return made.size === items.length;
    },
    patienceMs,
  );
  run.acknowledged.push(...made);
  const found = await eventually(
    'their ends',
    async () => {
      const pods = await podsOf(cluster);
      const names = new Set(pods?.map(({ name }) => `pod/${name}`));
      if (pods !== undefined) {
        for (const name of made) if (name.startsWith('pod/') && !names.has(name)) faults.lost.push(name);
      }
      const areAllDone = pods?.every(({ phase }) => phase === 'Succeeded' || phase === 'Failed');
      return areAllDone === true && pods;
    },
    patienceMs,
  );
  const state = await cluster.state();
  for (const pod of found) {
    if (campaign.struck.has(pod.uid)) continue;
    if (pod.phase !== 'Succeeded') faults.ended.push(`${pod.name}: ${pod.phase} ${pod.why}`);
    const directory = state.hosts.find((each) => each.name === pod.node)?.dataDir ?? '';
    const fault = logFault(join(directory, 'logs', 'pods', `default_${pod.name}_${pod.uid}`, 'main'));
    if (fault !== undefined && pod.phase === 'Succeeded') faults.log.push(`${pod.name}: ${fault}`);
  }
  const names = [...made].join(' ');
  await eventually(
    'deleted',
    async () => (await cluster.kubectl(`delete --ignore-not-found --wait=false ${names}`)).code === 0,
    patienceMs,
  );
}

interface FoundPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly phase: string;
  readonly why: string;
}

/** Undefined while the server does not answer. Those that are being deleted are of an earlier wave. */
async function podsOf(cluster: TestCluster): Promise<readonly FoundPod[] | undefined> {
  const { code, stdout } = await cluster.kubectl('get pods -l campaign=kill -o json');
  if (code !== 0) return undefined;
  const { items } = JSON.parse(stdout) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
      readonly spec: { readonly nodeName?: string };
      readonly status: {
        readonly phase?: string;
        readonly reason?: string;
        readonly containerStatuses?: unknown;
      };
    }[];
  };
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      uid: metadata.uid,
      node: spec.nodeName ?? '',
      phase: status.phase ?? '',
      why: `${status.reason ?? ''} ${JSON.stringify(status.containerStatuses ?? '')}`,
    }));
}

/** What is wrong with the numbered lines of a container's log, its rotated files first. */
function logFault(directory: string): string | undefined {
  if (!existsSync(directory)) return 'no log';
  const all = readdirSync(directory).toSorted();
  // `0.log.20260101-…` are older than `0.log`.
  const files = [...all.filter((name) => name !== '0.log'), ...all.filter((name) => name === '0.log')];
  const text = files.map((name) => readFileSync(join(directory, name), 'utf8')).join('');
  const numbers = [...text.matchAll(/ F line (\d+)/g)].map(([, number]) => Number(number));
  const last = numbers.at(-1) ?? -1;
  const wrong = numbers.findIndex((number, index) => number !== index);
  if (wrong >= 0) return `line ${wrong} of ${files.join(', ')} is ${numbers[wrong]}`;
  return last === 59 || last === 159_999 ? undefined : `it ends at line ${last}`;
}

async function killOften(cluster: TestCluster, campaign: Campaign, signal: AbortSignal): Promise<void> {
  const { random, kills, struck, say, paceMs } = campaign;
  while (!signal.aborted) {
    await sleep(paceMs / 2 + random(paceMs), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const kind = ['agent', 'agent', 'server', 'supervisor'][random(4)] ?? 'agent';
    const [pid, uid] = victim(cluster, kind, random);
    if (pid === undefined) continue;
    if (uid !== undefined) struck.add(uid);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      continue; // It ended by itself.
    }
    kills[kind] = (kills[kind] ?? 0) + 1;
    say(`kill ${kind} ${pid}`);
  }
}

/** A process of that kind, and the pod that it holds. */
function victim(
  cluster: TestCluster,
  kind: string,
  random: Random,
): readonly [pid: number | undefined, uid: string | undefined] {
  const [cgroup = ''] = clusterCgroupsOf(cluster.dataDir);
  if (kind === 'supervisor') {
    const leaves = cgroupsBelow(cgroup).filter((path) => path.endsWith('/sup'));
    const leaf = leaves[random(Math.max(1, leaves.length))] ?? '';
    const pid = Number(
      existsSync(leaf) ? readFileSync(join(leaf, 'cgroup.procs'), 'utf8').split('\n')[0] : 0,
    );
    return [pid === 0 ? undefined : pid, /pod([0-9a-f-]{36})/.exec(leaf)?.[1]];
  }
  const found = pidsOf(new RegExp(`podwright\\.ts ${kind} .*${cluster.dataDir}/`));
  return [found[random(Math.max(1, found.length))], undefined];
}

async function removeAll(cluster: TestCluster): Promise<void> {
  await eventually(
    'an answer',
    async () => (await cluster.kubectl('delete pods,configmaps -l campaign=kill --wait=false')).code === 0,
    patienceMs,
  );
  await eventually(
    'no pod',
    async () => {
      const { code, stdout } = await cluster.kubectl('get pods -A -l campaign=kill -o name');
      return code === 0 && stdout === '';
    },
    patienceMs,
  );
}

/** Given some time: an agent that was just killed has things to collect. */
async function whatIsLeft(
  cluster: TestCluster,
  before: Readonly<Record<string, Counts>>,
): Promise<Readonly<Record<string, Counts>>> {
  let left: Readonly<Record<string, Counts>> = {};
  const look = async (): Promise<boolean> => {
    const now = await lookAtNodes(cluster);
    left = Object.fromEntries(nodes.map((name) => [name, moreThan(before[name] ?? {}, now[name] ?? {})]));
    return Object.values(left).every((counts) => Object.keys(counts).length === 0);
  };
  await eventually('nothing left', look, 30_000).catch(() => undefined); // What is left is told.
  return left;
}

/** The launcher itself, with a pod running: `down` then ends all that it held. */
async function killLauncher(cluster: TestCluster, campaign: Campaign): Promise<readonly string[]> {
  const state = await cluster.state();
  await cluster.kubectl(`run last --image=${image} -- sleep 3600`);
  const [cgroup = ''] = clusterCgroupsOf(cluster.dataDir);
  process.kill(state.pid, 'SIGKILL');
  campaign.kills['launcher'] = 1;
  const down = await run([`${repositoryRoot}/podwright`, 'down', '--data', cluster.dataDir]);
  const left = [
    ...(down.code === 0 ? [] : [`down: ${down.stderr}`]),
    ...pidsOf(new RegExp(cluster.dataDir)).map((pid) => `process ${pid}`),
    ...(existsSync(cgroup) ? [cgroup] : []),
    ...(existsSync(state.runDir) && readdirSync(state.runDir).length > 0 ? [state.runDir] : []),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(state.runDir) || line.includes(cluster.dataDir)),
  ];
  return left;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      pods: { type: 'string' },
      seed: { type: 'string' },
      'at-once': { type: 'string' },
      'pace-ms': { type: 'string' },
    },
  });
  process.on('SIGINT', () => process.exit(130)); // The scratch directory and its cluster are left for a look; `down --purge` ends them.
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const report = await runCampaign({
    pods: Number(values.pods ?? 60),
    seed,
    atOnce: Number(values['at-once'] ?? 20),
    paceMs: Number(values['pace-ms'] ?? 3000),
    say: console.log,
  });
  console.log(JSON.stringify(report, undefined, 2));
  const left = Object.values(report.left).some((counts) => Object.keys(counts).length > 0);
  const isBad =
    left ||
    [report.lost, report.logFaults, report.ended, report.leftAfterDown].some(({ length }) => length > 0);
  process.exit(isBad ? 1 : 0);
}
