/** Kills in the middle of the rotation of a log: for the kill campaign. */
import { readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';

import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import type { TestCluster } from '#test/cluster/cluster.ts';
import { agentsOf, countKill, signalTo, supervisorsOf, type KillOptions } from './campaign-victims.ts';
import { logSizeBytesMax } from './campaign-pods.ts';

/** Longer than an agent waits between two looks at logs. */
const patienceMs = 12_000;

/** Who is killed as soon as the log has lost its name; `isHeld`: the supervisor is stopped before, so that it cannot open the next. */
const ways = [
  { agent: true, supervisor: false, isHeld: true },
  { agent: false, supervisor: true, isHeld: true },
  { agent: true, supervisor: true, isHeld: true },
  { agent: true, supervisor: false, isHeld: false },
] as const;

interface DueLog {
  readonly node: string;
  readonly uid: string;
  readonly directory: string;
}

/** Does nothing when no log is due. Pods that were held count as struck: a new agent takes a supervisor that does not answer for dead. */
export async function killInRotation(
  cluster: TestCluster,
  { random, kills, say }: KillOptions,
  signal: AbortSignal,
): Promise<void> {
  const due = await dueLogs(cluster);
  const log = due[random(Math.max(1, due.length))];
  const way = ways[random(ways.length)] ?? ways[0];
  const supervisor = supervisorsOf(clusterCgroupsOf(cluster.dataDir)[0] ?? '').find(
    ({ uid }) => uid === log?.uid,
  );
  if (log === undefined || supervisor === undefined) return;
  using held = new DisposableStack();

  if (way.isHeld || way.supervisor) kills.struck.add(log.uid);
  if (way.isHeld && signalTo(supervisor.pid, 'SIGSTOP'))
    held.defer(() => void signalTo(supervisor.pid, 'SIGCONT'));
  if (!(await isRotated(log.directory, signal))) return;
  const agents = way.agent ? agentsOf(cluster).filter(({ name }) => name === log.node) : [];
  for (const agent of agents) countKill(kills, 'agent', agent);
  if (way.supervisor) countKill(kills, 'supervisor', supervisor);
  const isCut = currentLog(log.directory) === undefined;
  const what = isCut ? 'rotations cut' : 'rotations struck';
  kills.counts[what] = (kills.counts[what] ?? 0) + 1;
  say(`kill in a rotation of ${log.uid} on ${log.node}: ${JSON.stringify(way)}, ${what}`);
}

/** Logs that the next look of an agent finds too large. */
async function dueLogs(cluster: TestCluster): Promise<readonly DueLog[]> {
  const { hosts } = await cluster.state();
  return hosts.flatMap(({ name: node, dataDir }) => {
    const pods = join(dataDir, 'logs', 'pods');
    return namesIn(pods)
      .map((name) => ({
        node,
        uid: name.split('_')[2] ?? '',
        directory: join(pods, name, 'main'),
      }))
      .filter(({ directory }) => (currentLog(directory)?.size ?? 0) >= logSizeBytesMax);
  });
}

/** Of the last start of a container. */
function currentLog(directory: string): { readonly size: number } | undefined {
  const starts = namesIn(directory).map((name) => Number(name.split('.')[0]));
  return statSync(join(directory, `${Math.max(0, ...starts)}.log`), { throwIfNoEntry: false });
}

/** Waits until a log in a directory gets another name. */
async function isRotated(directory: string, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  using stack = new DisposableStack();

  const watcher = stack.adopt(watch(directory), (each) => each.close());
  watcher.on('change', (event, name) => {
    if (event === 'rename' && /\.log\.\d/.test(String(name))) resolve(true);
  });
  watcher.on('error', () => resolve(false)); // The pod was removed.
  const end = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  end.addEventListener('abort', () => resolve(false));
  if (end.aborted) return false;
  return await promise;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // It is not there, or not any more.
  }
}
