/** Making and unmaking a sandbox by its plan. Each step is safe to repeat, and what was made is unmade if a later one fails. */
import { mkdirSync } from 'node:fs';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { Launcher, Supervisor } from '#native/launch/launch.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { timeoutSignal, type Clock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import type { SandboxPlan } from './plan/plan-sandbox.ts';
import type { RuntimeSystem } from './system.ts';

export interface SandboxPorts {
  readonly launcher: Launcher;
  readonly netlink: Pick<Netlink, 'createNetns' | 'removeNetns'>;
  readonly network: PodNetwork;
  readonly system: RuntimeSystem;
  readonly clock: Clock;
}

export interface StartedSandbox {
  readonly supervisor: Supervisor;
  readonly ips: readonly string[];
  /** Cgroup limits that this host cannot set, by controller. */
  readonly missingControllers: readonly string[];
}

/**
 * The kernel, the netlink thread, the supervisor's process and this thread work at once; an arrow is all that waits:
 *
 *     netns ───────┬─▶ CNI ADD
 *                  ├─▶ supervisor enters its namespaces
 *     cgroups ─────┴─▶ supervisor's process
 *     shm
 *
 * With a user namespace, which owns it, the supervisor makes the pod's network namespace: CNI ADD waits for that.
 *
 * @throws what the failed step threw, after undoing the others
 */
export async function startSandbox(
  plan: SandboxPlan,
  ports: SandboxPorts,
  signal: AbortSignal,
): Promise<StartedSandbox> {
  await using undo = new AsyncDisposableStack();

  signal.throwIfAborted();
  const netns = makeNetns(plan, ports, undo); // First, as the netlink thread does it while this one makes the rest.
  const cgroups = makeCgroups(plan, ports, undo);
  const starting = startSupervisor(plan, ports, { undo, cgroups, netns });
  const [, { missing }, , supervisor, ips] = await settleAll([
    netns,
    cgroups,
    mountSharedMemory(plan, ports, undo),
    starting,
    addToNetwork(plan, ports, { undo, signal, netns: plan.supervisor.ids === undefined ? netns : starting }),
  ]);
  signal.throwIfAborted();
  undo.move();
  return { supervisor, ips, missingControllers: missing };
}

async function makeNetns(
  { netnsPath, supervisor }: SandboxPlan,
  { netlink }: SandboxPorts,
  undo: AsyncDisposableStack,
): Promise<void> {
  if (netnsPath === undefined) return;
  undo.defer(() => netlink.removeNetns(netnsPath));
  if (supervisor.ids !== undefined) return netlink.removeNetns(netnsPath); // What an attempt left that was cut off.
  try {
    await netlink.createNetns(netnsPath);
  } catch (error) {
    if (!isPodwrightError(error, 'E_EXISTS')) throw error;
    // Left by an attempt that was cut off, it may be half made: it starts anew.
    await netlink.removeNetns(netnsPath);
    await netlink.createNetns(netnsPath);
  }
}

interface MadeCgroups {
  /** The supervisor's directory. */
  readonly supervisor: string | undefined;
  readonly missing: readonly string[];
}

async function makeCgroups(
  plan: SandboxPlan,
  { system }: SandboxPorts,
  undo: AsyncDisposableStack,
): Promise<MadeCgroups> {
  const missing = new Set<string>();
  let supervisor: string | undefined;
  // A supervisor in a cgroup that was once killed clones children that die at once: the kernel compares the kill count of
  // the parent's cgroup with that of the child's new one (CLONE_INTO_CGROUP after cgroup.kill, measured on 6.18).
  await system.removeCgroup(plan.supervisorCgroup);
  for (const { path, resources } of plan.cgroups) {
    undo.defer(() => system.removeCgroup(path));
    const made = await system.ensureCgroup(path, resources);
    for (const controller of made.missing) missing.add(controller);
    if (path === plan.supervisorCgroup) supervisor = made.path;
  }
  return { supervisor, missing: [...missing] };
}

async function mountSharedMemory(
  { sharedMemory }: SandboxPlan,
  { system }: SandboxPorts,
  undo: AsyncDisposableStack,
): Promise<void> {
  if (sharedMemory === undefined) return;
  const { path, sizeBytes } = sharedMemory;
  undo.defer(() => system.unmount(path));
  await system.mountSharedMemory(path, sizeBytes);
}

async function startSupervisor(
  plan: SandboxPlan,
  { launcher }: SandboxPorts,
  context: {
    readonly undo: AsyncDisposableStack;
    readonly cgroups: Promise<MadeCgroups>;
    readonly netns: Promise<void>;
  },
): Promise<Supervisor> {
  const { undo, netns } = context;
  const { directory } = plan.supervisor;
  const { supervisor: cgroup } = await context.cgroups;
  undo.defer(async () => void (await removeTree(directory)));
  mkdirSync(directory, { recursive: true, mode: 0o700 }); // On a tmpfs.
  const supervisor = await launcher.startSupervisor({ ...plan.supervisor, cgroup }, netns);
  undo.defer(async () => {
    await supervisor.stop();
    supervisor[Symbol.dispose]();
  });
  return supervisor;
}

async function addToNetwork(
  { network: request }: SandboxPlan,
  { network }: SandboxPorts,
  context: {
    readonly undo: AsyncDisposableStack;
    readonly signal: AbortSignal;
    readonly netns: Promise<unknown>;
  },
): Promise<readonly string[]> {
  const { undo, signal } = context;
  if (request === undefined) return [];
  await context.netns;
  signal.throwIfAborted();
  undo.defer(() => network.del(request, timeoutSignal(networkUndoTimeoutMs)));
  const { ips } = await network.add(request, signal);
  return ips;
}

/** What undoing may take after the caller's own signal is spent. */
const networkUndoTimeoutMs = 10_000;

/**
 * Kills what runs, ends the supervisor, gives back the network, removes the namespace and the shared memory. Whatever of it
 * is gone already is passed over. Cgroups stay, empty, until the pod is removed: their counters are still asked for.
 */
export async function stopSandbox(
  plan: SandboxPlan,
  supervisor: Supervisor | undefined,
  ports: SandboxPorts,
  signal: AbortSignal,
): Promise<void> {
  const { netlink, network, system } = ports;
  if (supervisor !== undefined) await endSupervisor(supervisor, ports.clock, signal);
  // Also what outlived its supervisor, or a supervisor that no longer answers.
  const [pod] = plan.cgroups;
  if (pod !== undefined) await system.killCgroup(pod.path);
  // Its kill count stays with it, see startSandbox.
  await system.removeCgroup(plan.supervisorCgroup);
  if (plan.network !== undefined) await network.del(plan.network, signal);
  if (plan.netnsPath !== undefined) await netlink.removeNetns(plan.netnsPath);
  if (plan.sharedMemory !== undefined) await system.unmount(plan.sharedMemory.path);
}

/** SIGKILL to all that runs until nothing does, then the supervisor's own end. */
async function endSupervisor(supervisor: Supervisor, clock: Clock, signal: AbortSignal): Promise<void> {
  const SIGKILL = 9;
  using connection = supervisor;

  try {
    let exit = Promise.withResolvers<void>();
    using _watch = connection.onExit(() => exit.resolve());

    for (;;) {
      exit = Promise.withResolvers<void>();
      const running = await connection.running();
      if (running.length === 0) break;
      for (const process of running) await connection.kill(process.id, SIGKILL, { all: true });
      // A process in an uninterruptible wait dies late, and one just forked by another shows late: ask again.
      await Promise.race([exit.promise, clock.sleep(killAgainMs, signal)]);
    }
    await connection.stop();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

const killAgainMs = 50;

/** Or does not answer: its cgroup is killed next. */
function isGone(error: unknown): boolean {
  return (['E_CONNECTION', 'E_CLOSED', 'E_TIMEOUT'] as const).some((code) => isPodwrightError(error, code));
}
