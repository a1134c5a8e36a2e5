/** What a kubelet sees to at its start about what pods and the machine take from each other. */
import { dirname } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Informers } from '#client/informers.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { KubeletDirectories } from './pod-paths.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Node } from '#api/generated/objects.ts';
import { nodes, pods } from '#api/schema/kind-ref.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import {
  applyNodeCgroups,
  createClassWeights,
  planNodeCgroups,
  type CgroupTrees,
} from './cgroups/node-cgroups.ts';
import type { HintProvider } from './assign/assignment.ts';
import { openAssignments } from './assign/open-assignments.ts';
import type { NodeAssignments } from './assign/node-assignments.ts';
import { defaultSettings, type KubeletSettings } from './config/settings.ts';
import { watchOom } from './oom/watch-oom.ts';
import { NodeShutdown, type ShutdownSource } from './shutdown/node-shutdown.ts';
import type { PodWorkers } from './sync/pod-workers.ts';
import type { PodWorkersOptions } from './sync/sync-ports.ts';

/** What it takes of a kubelet's options. */
export interface IsolationOptions {
  readonly nodeName: string;
  readonly informers: Informers;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  readonly settings?: KubeletSettings;
  /** Cgroups of the node and of its host; undefined: none. */
  readonly trees?: CgroupTrees | undefined;
  /** Who tells that the machine goes down, where the configuration has pods wait for that. */
  readonly shutdownSources?: readonly ShutdownSource[];
  /** What else of a node lies near some of its memory. */
  readonly providers?: readonly HintProvider[];
}

export interface Isolation {
  /** Undefined: all CPUs and memory are everybody's. */
  readonly assignments: NodeAssignments | undefined;
  readonly shutdown: NodeShutdown | undefined;
  readonly workers: Pick<PodWorkersOptions, 'assignments' | 'weighClasses' | 'shutdown'>;
}

/** `refreshNode`: the node's status has changed by it. @throws {E_UNSUPPORTED} {E_USAGE} {E_NOT_FOUND} for what the machine is not; {E_DAMAGED} for a checkpoint */
export async function openIsolation(
  options: IsolationOptions,
  machine: MachineFacts,
  refreshNode: () => void,
): Promise<Isolation> {
  const { settings = defaultSettings, trees, directories } = options;
  const { assign, reserved, eviction } = settings;
  refuseSwap(machine, settings);
  if (trees !== undefined) await applyNodeCgroups(planNodeCgroups(machine, settings), trees);
  const assignments = await openAssignments({
    ...{ settings: assign, reserved, eviction, machine },
    directory: dirname(directories.pods),
    providers: options.providers ?? [],
  });
  const shutdown = shutdownOf(options, refreshNode);
  return {
    assignments,
    shutdown,
    workers: {
      assignments: assignments && { given: assignments, everyMs: assign.reconcileMs },
      weighClasses: trees && createClassWeights(trees.own),
      shutdown,
    },
  };
}

/** @throws {E_UNSUPPORTED} in the kubelet's words */
function refuseSwap({ swapBytes = 0 }: MachineFacts, { isSwapRefused }: KubeletSettings): void {
  if (!isSwapRefused || swapBytes === 0) return;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    'start agent: running with swap on is not supported, please disable swap or set failSwapOn to false',
  );
}

/** Undefined: pods end with the machine, as it comes. */
function shutdownOf(
  { settings = defaultSettings, shutdownSources = [], clock, logger }: IsolationOptions,
  refreshNode: () => void,
): NodeShutdown | undefined {
  const { shutdown: groups } = settings;
  if (groups.length === 0) return undefined;
  return new NodeShutdown({ groups, sources: shutdownSources, clock, logger, refreshNode });
}

/** The kubelet's words (InPlacePodVerticalScalingExclusiveCPUs and …ExclusiveMemory are off). */
export function resizeProblemOf({ gives }: NodeAssignments): string | undefined {
  const words = (who: string): string =>
    `Resize is infeasible for Guaranteed Pods alongside ${who} Manager static policy`;
  if (gives.cpus) return words('CPU');
  return gives.memory ? words('Memory') : undefined;
}

/** As the kubelet refers to its node. */
export function nodeReference(name: string): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
}

/** Who ran out of memory is told at the node, or at the pod whose limit it was. */
export function startOomEvents(
  stack: AsyncDisposableStack,
  { informers, clock, logger, nodeName, runtime }: IsolationOptions,
  workers: PodWorkers,
): void {
  const { client } = informers;
  const recorder = stack.use(
    createEventRecorder({ client, component: 'kubelet', host: nodeName, clock, logger }),
  );
  const watch = watchOom({
    ...{ clock, logger, runtime },
    teller: {
      ofNode: (message) =>
        recorder.record({ kind: nodes, object: nodeReference(nodeName) }, 'Warning', 'SystemOOM', message),
      ofPod: (uid, message) => {
        const object = workers.pods().find(({ metadata }) => metadata?.uid === uid);
        if (object !== undefined) recorder.record({ kind: pods, object }, 'Warning', 'OOMKilling', message);
      },
    },
  });
  if (watch !== undefined) stack.use(watch);
}
