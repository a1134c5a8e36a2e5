/** What a node has of pods, by count, as the kernel and the disk see it: to be compared with what it had before any pod. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { clusterCgroupsOf } from '#bin/up/cluster-cgroups.ts';
import type { UpState } from '#bin/up/state.ts';
import { eventually, run } from '#test/cluster/cluster.ts';

export type Counts = Readonly<Record<string, readonly string[]>>;

/** Each kind of thing, with the names of those that are there. */
export async function lookAtNode(state: UpState, name: string): Promise<Counts> {
  const host = state.hosts.find((each) => each.name === name);
  if (host === undefined) throw new Error(`no host ${name}`);
  const cgroup = join(clusterCgroupsOf(dirname(host.dataDir))[0] ?? '', name);
  const pid = await eventually(`a process of ${name}`, async () => processOf(cgroup));
  const inside = `/proc/${pid}/root${state.runDir}`;
  const links = await inNetwork(pid, ['ip', '-o', 'link', 'show', 'type', 'veth']);
  const rules = await inNetwork(pid, ['nft', '-j', 'list', 'ruleset']);
  return {
    processes: processesIn(cgroup, new Set(['agent', 'host'])),
    cgroups: cgroupsBelow(cgroup).filter((path) => /\/pod[0-9a-f-]{36}/.test(path)),
    veths: links.split('\n').filter((line) => line !== '' && !line.includes(' eth0@')),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => /\/(pods|netns|containers|volumes)\//.test(path)),
    elements: elementsOf(rules),
    namespaces: namesIn(`${inside}/netns`).filter((each) => /^[0-9a-f]{16}$/.test(each)),
    states: namesIn(`${inside}/pods`),
    leases: namesIn(`${inside}/leases/podwright`).filter((each) => /^\d/.test(each)),
    results: namesIn(`${inside}/cni/results`),
    memory: namesIn(`${inside}/volumes`),
    volumes: namesIn(join(host.dataDir, 'pods')),
    roots: namesIn(join(host.dataDir, 'containers')),
    logs: namesIn(join(host.dataDir, 'logs', 'pods')),
    links: namesIn(join(host.dataDir, 'logs', 'containers')),
    drafts: [host.dataDir, `${inside}/pods`].flatMap((each) =>
      namesIn(each).filter((file) => file.endsWith('.draft')),
    ),
  };
}

/** A process that stands in the node's namespaces: its agent, once there is one again; its holder may be dead. */
export function processOf(nodeCgroup: string): number | undefined {
  const file = join(nodeCgroup, 'agent', 'cgroup.procs');
  const pids = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  // What just starts is not inside yet.
  return pids.map(Number).find((pid) => pid > 0 && isInside(pid));
}

function isInside(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net');
  } catch {
    return false; // It ended while we looked.
  }
}

/** What a command in the network namespace of a process prints. */
export async function inNetwork(pid: number, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(['nsenter', `--target=${pid}`, '--net', '--', ...command]);
  if (code !== 0) throw new Error(`run ${command.join(' ')}: ${code}: ${stderr}`);
  return stdout;
}

/** Elements of the sets and maps of `nft -j list ruleset`, with the chains that hang on them. */
function elementsOf(rulesText: string): readonly string[] {
  const { nftables } = JSON.parse(rulesText) as {
    readonly nftables: readonly Readonly<
      Record<string, { readonly table?: string; readonly name?: string; readonly elem?: readonly unknown[] }>
    >[];
  };
  return nftables.flatMap((each) => {
    const set = each['set'] ?? each['map'];
    const chain = each['chain'];
    if (chain !== undefined) return [`chain ${chain.table} ${chain.name}`];
    return (set?.elem ?? []).map((element) => `${set?.table} ${set?.name} ${JSON.stringify(element)}`);
  });
}

/** Kinds of which there is more than before, with what it is. */
export function moreThan(before: Counts, now: Counts): Counts {
  return Object.fromEntries(
    Object.entries(now)
      .map(([kind, names]) => [kind, names.filter((each) => before[kind]?.includes(each) !== true)] as const)
      // Namespaces that are made ahead come and go: their number counts.
      .filter(
        ([kind, names]) =>
          names.length > 0 && names.length > (kind === 'namespaces' ? (before[kind]?.length ?? 0) : 0),
      ),
  );
}

function namesIn(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Every cgroup below one. */
export function cgroupsBelow(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(path, entry.name), ...cgroupsBelow(join(path, entry.name))]);
}

function processesIn(cgroup: string, except: ReadonlySet<string>): readonly string[] {
  return namesIn(cgroup)
    .filter((name) => !except.has(name) && existsSync(join(cgroup, name, 'cgroup.procs')))
    .flatMap((name) => [join(cgroup, name), ...cgroupsBelow(join(cgroup, name))])
    .flatMap((path) => readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n'))
    .filter((pid) => pid !== '');
}
