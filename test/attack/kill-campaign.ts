/**
 * Kills agents, supervisors, holders, the server and the launcher at random moments, while pods with volumes, hooks, probes, host
 * ports and rotated logs come and go; then counts what was lost, what is not as it should be, and what was left.
 *
 *     node test/attack/kill-campaign.ts [--pods 60] [--seed N] [--at-once 20] [--nodes 2] [--pace-ms 3000] [--dwell-ms 15000] [--launchers 1]
 *
 * The seed decides who is killed and how long after the one before; what they were doing then, the machine decides.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { repositoryRoot } from '#bin/paths.ts';
import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import { eventually, run, startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { pidsOf } from '#test/cluster/processes.ts';
import { randomFrom } from '#test/fuzz/damage.ts';
import { killOften } from './campaign-kills.ts';
import { checkLogs } from './campaign-logs.ts';
import {
  campaignPod,
  image,
  isAsItShould,
  logFilesMax,
  logSizeBytesMax,
  manifestsOf,
  parsePods,
  service,
  warmUpPod,
  type CampaignPod,
  type FoundPod,
} from './campaign-pods.ts';
import type { KillOptions, Kills } from './campaign-victims.ts';
import { inNetwork, lookAtNode, moreThan, processOf, type Counts } from './left-behind.ts';

export interface CampaignOptions {
  readonly pods: number;
  readonly seed: number;
  /** Pods that are made at one time. */
  readonly atOnce: number;
  readonly nodes: number;
  /** Between kills, on average: long enough for a program to become ready now and then. */
  readonly paceMs: number;
  /** How long pods that are as they should be go on under kills before they are deleted; logs are looked at every 10 s. */
  readonly dwellMs: number;
  /** How often the launcher is killed between making pods and looking at them; once more at the end. */
  readonly launchers: number;
  readonly say: (line: string) => void;
}

export interface CampaignReport {
  readonly seed: number;
  readonly pods: number;
  readonly kills: Readonly<Record<string, number>>;
  /** Objects whose creation was acknowledged. */
  readonly acknowledged: number;
  /** Pods whose logs were whole, line by line, and how many rotated files they had. */
  readonly logs: { readonly whole: number; readonly rotated: number };
  readonly hostPortsThatAnswered: number;
  readonly hooks: { readonly start: number; readonly stop: number };
  readonly faults: Faults;
  /** By node, what is there and was not before. */
  readonly left: Readonly<Record<string, Counts>>;
  /** By node and kind, how many there were before any pod, and how many when all pods were gone. */
  readonly counted: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>>;
  /** What is left on the machine after `down`. */
  readonly leftAfterDown: readonly string[];
}

export interface Faults {
  /** Objects that were acknowledged and are not there. */
  readonly lost: string[];
  /** Pods that did not come to where they should. */
  readonly state: string[];
  /** Pods whose log lacks a line, or has one twice, or is not rotated. */
  readonly log: string[];
  readonly hostPort: string[];
  /** Pods, of those whose supervisor nobody killed, whose hook did not run. */
  readonly hook: string[];
}

/** The machine may be busy with other things as well. */
const patienceMs = 600_000;
/** Programs are killed meanwhile: an agent has to live for a moment to rotate a log, and to start a pod anew. */
const logPatienceMs = 90_000;
const hostPortPatienceMs = 120_000;

/** Of nodes and server. */
const environment = {
  PODWRIGHT_CONTAINER_LOG_MAX_SIZE: String(logSizeBytesMax),
  PODWRIGHT_CONTAINER_LOG_MAX_FILES: String(logFilesMax),
};

interface Campaign extends CampaignOptions, KillOptions {
  readonly dataDir: string;
  readonly hooksDirectory: string;
  readonly kills: Kills;
  readonly acknowledged: Set<string>;
  /** Of pods that have been looked at before they were deleted. */
  readonly uids: Map<CampaignPod, string>;
  readonly counts: { rotated: number; whole: number; hostPorts: number };
  readonly faults: Faults;
}

/** Runs it to its end. The cluster, in a scratch directory of its own, goes with it. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const parent = mkdtempSync(join(tmpdir(), 'podwright-kill-'));
  const campaign: Campaign = {
    ...options,
    dataDir: join(parent, 'data'),
    hooksDirectory: join(parent, 'hooks'),
    random: randomFrom(options.seed),
    kills: { counts: {}, struck: new Set() },
    acknowledged: new Set(),
    uids: new Map(),
    counts: { rotated: 0, whole: 0, hostPorts: 0 },
    faults: { lost: [], state: [], log: [], hostPort: [], hook: [] },
  };
  mkdirSync(campaign.hooksDirectory);
  const { dataDir } = campaign;
  try {
    return await runIn(campaign);
  } finally {
    if (existsSync(dataDir)) await run([`${repositoryRoot}/podwright`, 'down', '--purge', '--data', dataDir]);
    rmSync(parent, { recursive: true, force: true });
  }
}

async function runIn(campaign: Campaign): Promise<CampaignReport> {
  const { dataDir, nodes, pods, atOnce, launchers, say, kills, acknowledged, counts, faults } = campaign;
  let cluster = await startCluster({ nodes, dataDir, environment });
  await cluster.must('apply -f -', { input: JSON.stringify(service) });
  await warmUp(cluster, nodes);
  const before = await lookAtNodes(cluster, nodes);
  const waves = Array.from({ length: Math.ceil(pods / atOnce) }, (_, wave) =>
    Array.from({ length: Math.min(atOnce, pods - wave * atOnce) }, (_each, index) =>
      campaignPod(wave * atOnce + index),
    ),
  );
  const launcherWaves = new Set(
    Array.from({ length: launchers }, (_, at) => Math.floor(((at + 1) * waves.length) / (launchers + 1))),
  );
  for (const [number, wave] of waves.entries()) {
    {
      await using _killing = killOften(cluster, campaign);

      await makeAll(cluster, campaign, wave);
    }
    if (launcherWaves.has(number)) cluster = await replaceLauncher(cluster, campaign);
    await using _killing = killOften(cluster, campaign);

    await waitForStates(cluster, campaign, wave);
    await sleep(campaign.dwellMs);
    await endWave(cluster, campaign, wave);
    say(`${wave.at(-1)?.index} pods, ${JSON.stringify(kills.counts)}, ${JSON.stringify(faults)}`);
  }
  await checkAcknowledged(cluster, campaign);
  {
    await using _killing = killOften(cluster, campaign);

    await removeAll(cluster);
  }
  const hooks = checkHooks(campaign);
  const { left, counted } = await whatIsLeft(cluster, before);
  const leftAfterDown = await endWithoutLauncher(cluster, campaign);
  return {
    seed: campaign.seed,
    pods,
    kills: kills.counts,
    acknowledged: acknowledged.size,
    logs: { whole: counts.whole, rotated: counts.rotated },
    hostPortsThatAnswered: counts.hostPorts,
    hooks,
    faults,
    left,
    counted,
    leftAfterDown,
  };
}

/** A pod with a host port on each node, and gone again: what a node makes once and keeps is there then. */
async function warmUp(cluster: TestCluster, nodes: number): Promise<void> {
  const items = Array.from({ length: nodes }, (_, index) => warmUpPod(`node-${index + 1}`));
  await cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await cluster.must('wait pod -l campaign=warm --for=condition=Ready --timeout=120s', {
    timeoutMs: 130_000,
  });
  await cluster.must('delete pod -l campaign=warm --timeout=120s', { timeoutMs: 130_000 });
  const areGone = async (): Promise<boolean> =>
    Object.values(await lookAtNodes(cluster, nodes)).every(
      ({ states, veths }) => states?.length === 0 && veths?.length === 0,
    );
  await eventually('pods gone from the nodes', areGone, patienceMs);
}

async function lookAtNodes(cluster: TestCluster, nodes: number): Promise<Readonly<Record<string, Counts>>> {
  const state = await cluster.state();
  const names = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
  const looked = await Promise.all(names.map(async (name) => [name, await lookAtNode(state, name)] as const));
  return Object.fromEntries(looked);
}

/** Of one command, which has to be done while a server lives, or it is begun anew. */
const objectsAtOnce = 60;
const podsAtOnce = 30;

/** In parts, and only what is not acknowledged yet: a whole list anew may take longer than a server lives. */
async function makeAll(
  cluster: TestCluster,
  campaign: Campaign,
  wave: readonly CampaignPod[],
): Promise<void> {
  const { acknowledged, hooksDirectory } = campaign;
  const missing = new Map<string, unknown>(
    wave
      .flatMap((pod) => manifestsOf(pod, hooksDirectory))
      .map((item) => [`${item.kind.toLowerCase()}/${item.metadata.name}`, item] as const),
  );
  const make = async (): Promise<boolean> => {
    const items = [...missing.values()].slice(0, objectsAtOnce);
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { stdout, stderr } = await cluster.kubectl('create -f -', { input });
    const made = [...stdout.matchAll(/^(\S+) created$/gm)].map(([, name = '']) => name);
    // Made, and its answer was lost: seen now, so it counts as acknowledged.
    const had = [...stderr.matchAll(/(\w+)s "(\w+)" already exists/g)].map(
      ([, kind, name]) => `${kind}/${name}`,
    );
    for (const name of [...made, ...had]) {
      missing.delete(name);
      acknowledged.add(name);
    }
    return missing.size === 0;
  };
  await eventually('all are made', make, patienceMs);
}

/** Those that do not come to where they should are told. */
async function waitForStates(
  cluster: TestCluster,
  { kills, faults, acknowledged }: Campaign,
  wave: readonly CampaignPod[],
): Promise<void> {
  const waiting = new Map(wave.map((pod) => [pod.name, pod]));
  let found: readonly FoundPod[] = [];
  const look = async (): Promise<boolean> => {
    found = (await podsOf(cluster)) ?? found;
    for (const each of found) {
      const pod = waiting.get(each.name);
      if (pod !== undefined && isAsItShould(pod, each, kills.struck.has(each.uid))) waiting.delete(each.name);
    }
    return waiting.size === 0;
  };
  await eventually('as they should be', look, patienceMs).catch(() => undefined);
  for (const { name, role } of waiting.values()) {
    const each = found.find((pod) => pod.name === name);
    if (each === undefined && acknowledged.has(`pod/${name}`)) faults.lost.push(`pod/${name}`);
    else faults.state.push(`${name} (${role}): ${JSON.stringify(each)}`);
  }
}

/** Looks at what the pods wrote and whether they answer, then deletes them. */
async function endWave(
  cluster: TestCluster,
  campaign: Campaign,
  wave: readonly CampaignPod[],
): Promise<void> {
  const { faults, kills, counts } = campaign;
  const state = await cluster.state();
  const found = await eventually('their states', () => podsOf(cluster), patienceMs);
  for (const pod of wave) {
    const each = found.find(({ name }) => name === pod.name);
    if (each === undefined) faults.lost.push(`pod/${pod.name}`);
    else campaign.uids.set(pod, each.uid);
    if (each === undefined) continue;
    const isStruck = (): boolean => kills.struck.has(each.uid);
    if (!isStruck() && pod.role !== 'again' && (!isAsItShould(pod, each, false) || each.restarts > 0))
      faults.state.push(`${pod.name}, later: ${JSON.stringify(each)}`);
    const directory = state.hosts.find(({ name }) => name === each.node)?.dataDir ?? '';
    const logs = join(directory, 'logs', 'pods', `default_${pod.name}_${each.uid}`, 'main');
    const { fault, rotated } = await checkLogs(logs, { pod, isStruck, patienceMs: logPatienceMs });
    if (fault === undefined) counts.whole++;
    else faults.log.push(`${pod.name}${isStruck() ? ', struck' : ''}: ${fault}`);
    counts.rotated += rotated;
  }
  await askHostPorts(cluster, campaign, { wave, found });
  const names = wave.map(({ name }) => name);
  for (let at = 0; at < names.length; at += podsAtOnce) {
    const part = names.slice(at, at + podsAtOnce).join(' ');
    const remove = async (): Promise<boolean> =>
      (await cluster.kubectl(`delete pod --ignore-not-found --wait=false ${part}`)).code === 0;
    await eventually('deleted', remove, patienceMs);
  }
}

/** Undefined while the server does not answer. */
async function podsOf(cluster: TestCluster): Promise<readonly FoundPod[] | undefined> {
  const { code, stdout } = await cluster.kubectl('get pods -l campaign=kill -o json');
  return code === 0 ? parsePods(stdout) : undefined;
}

async function askHostPorts(
  cluster: TestCluster,
  { dataDir, kills, faults, counts }: Campaign,
  { wave, found }: { readonly wave: readonly CampaignPod[]; readonly found: readonly FoundPod[] },
): Promise<void> {
  const state = await cluster.state();
  const [cgroup = ''] = clusterCgroupsOf(dataDir);
  for (const pod of wave) {
    const each = found.find(({ name }) => name === pod.name);
    const ip = state.hosts.find(({ name }) => name === each?.node)?.ip;
    if (pod.role !== 'stays' || pod.hostPort === undefined || each === undefined) continue;
    const ask = async (): Promise<boolean> => {
      const server = processOf(join(cgroup, 'server'));
      if (server === undefined) return false;
      const url = `http://${ip}:${pod.hostPort}/a`;
      return (await inNetwork(server, ['curl', '-sS', '-m', '5', url]).catch(() => '')) === String(pod.index);
    };
    // One that was struck may have to wait before it is started again.
    const isAnswered = await eventually(pod.name, ask, hostPortPatienceMs).catch(() => false);
    if (isAnswered) counts.hostPorts++;
    else
      faults.hostPort.push(
        `${pod.name}${kills.struck.has(each.uid) ? ', struck' : ''} ${ip}:${pod.hostPort}`,
      );
  }
}

/** The launcher, with all that it held, and a new one in the same directory: all pods begin anew. */
async function replaceLauncher(cluster: TestCluster, campaign: Campaign): Promise<TestCluster> {
  const { kills, say, nodes, dataDir } = campaign;
  const found = await eventually('pods', () => podsOf(cluster), patienceMs);
  for (const { uid } of found) kills.struck.add(uid);
  process.kill((await cluster.state()).pid, 'SIGKILL');
  kills.counts['launcher'] = (kills.counts['launcher'] ?? 0) + 1;
  say('kill launcher; up again');
  return startCluster({ nodes, dataDir, environment });
}

/** ConfigMaps and Secrets stay until here, over all that was killed. */
async function checkAcknowledged(cluster: TestCluster, { acknowledged, faults }: Campaign): Promise<void> {
  const names = await eventually(
    'a list',
    async () => {
      const { code, stdout } = await cluster.kubectl('get configmaps,secrets -l campaign=kill -o name');
      return code === 0 && new Set(stdout.split('\n'));
    },
    patienceMs,
  );
  for (const name of acknowledged) {
    if (!name.startsWith('pod/') && !names.has(name)) faults.lost.push(name);
  }
}

/** Each pod that nobody struck has said that it started, and each that was deleted while it ran, that it stops. */
function checkHooks({ hooksDirectory, kills, faults, uids }: Campaign): CampaignReport['hooks'] {
  const ran = new Set(readdirSync(hooksDirectory));
  for (const [{ name, role }, uid] of uids) {
    if (kills.struck.has(uid) || role === 'again') continue;
    if (!ran.has(`${name}.start`)) faults.hook.push(`${name}: no postStart`);
    if (role === 'stays' && !ran.has(`${name}.stop`)) faults.hook.push(`${name}: no preStop`);
  }
  const count = (what: string): number => [...ran].filter((each) => each.endsWith(what)).length;
  return { start: count('.start'), stop: count('.stop') };
}

async function removeAll(cluster: TestCluster): Promise<void> {
  const remove = async (): Promise<boolean> =>
    (await cluster.kubectl('delete pods,configmaps,secrets -l campaign=kill --wait=false')).code === 0;
  await eventually('an answer', remove, patienceMs);
  const isGone = async (): Promise<boolean> => {
    const { code, stdout } = await cluster.kubectl('get pods -A -l campaign=kill -o name');
    return code === 0 && stdout === '';
  };
  await eventually('no pod', isGone, patienceMs);
}

/** Given some time: an agent that was just killed has things to collect. */
async function whatIsLeft(
  cluster: TestCluster,
  before: Readonly<Record<string, Counts>>,
): Promise<Pick<CampaignReport, 'left' | 'counted'>> {
  const names = Object.keys(before);
  let now: Readonly<Record<string, Counts>> = {};
  let left: Readonly<Record<string, Counts>> = {};
  const look = async (): Promise<boolean> => {
    now = await lookAtNodes(cluster, names.length);
    left = Object.fromEntries(names.map((name) => [name, moreThan(before[name] ?? {}, now[name] ?? {})]));
    return Object.values(left).every((counts) => Object.keys(counts).length === 0);
  };
  await eventually('nothing left', look, 90_000).catch(() => undefined); // What is left is told.
  const counted = names.map((name) => {
    const kinds = Object.entries(now[name] ?? {});
    const counts = kinds.map(
      ([kind, found]) => [kind, [before[name]?.[kind]?.length ?? 0, found.length]] as const,
    );
    return [name, Object.fromEntries(counts)] as const;
  });
  return { left, counted: Object.fromEntries(counted) };
}

/** The launcher itself, with a pod running: `down` then ends all that it held. */
async function endWithoutLauncher(cluster: TestCluster, { kills }: Campaign): Promise<readonly string[]> {
  const state = await cluster.state();
  await cluster.kubectl(`run last --image=${image} -- sleep 3600`);
  const [cgroup = ''] = clusterCgroupsOf(cluster.dataDir);
  process.kill(state.pid, 'SIGKILL');
  kills.counts['launcher'] = (kills.counts['launcher'] ?? 0) + 1;
  const down = await run([`${repositoryRoot}/podwright`, 'down', '--data', cluster.dataDir]);
  return [
    ...(down.code === 0 ? [] : [`down: ${down.stderr}`]),
    ...pidsOf(new RegExp(cluster.dataDir)).map((pid) => `process ${pid}`),
    ...(existsSync(cgroup) ? [cgroup] : []),
    ...(existsSync(state.runDir) && readdirSync(state.runDir).length > 0 ? [state.runDir] : []),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(state.runDir) || line.includes(cluster.dataDir)),
  ];
}

/** Pure: whether all is as it should be. */
export function isClean({ faults, left, leftAfterDown }: CampaignReport): boolean {
  return (
    Object.values(faults).every(({ length }) => length === 0) &&
    Object.values(left).every((counts) => Object.keys(counts).length === 0) &&
    leftAfterDown.length === 0
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      pods: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      'at-once': { type: 'string', default: '20' },
      nodes: { type: 'string', default: '2' },
      'pace-ms': { type: 'string', default: '3000' },
      'dwell-ms': { type: 'string', default: '15000' },
      launchers: { type: 'string', default: '1' },
    },
  });
  process.on('SIGINT', () => process.exit(130)); // The scratch directory and its cluster are left for a look; `down --purge` ends them.
  console.log(`seed ${values.seed}`);
  const report = await runCampaign({
    pods: Number(values.pods),
    seed: Number(values.seed),
    atOnce: Number(values['at-once']),
    nodes: Number(values.nodes),
    paceMs: Number(values['pace-ms']),
    dwellMs: Number(values['dwell-ms']),
    launchers: Number(values.launchers),
    say: (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`),
  });
  console.log(JSON.stringify(report, undefined, 2));
  process.exit(isClean(report) ? 0 : 1);
}
