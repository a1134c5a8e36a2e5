/** What makes room on a node that is short of something: images that nobody uses, then pods. */
import type { IsolationOptions } from './start-isolation.ts';
import { nodeReference } from './start-isolation.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { readDisk, readMachine } from '#agent/node/machine.ts';
import { isDiskLow } from '#agent/node/node-status.ts';
import type { Proc } from '#native/proc/proc.ts';
import { defaultSettings } from './config/settings.ts';
import { planNodeCgroups } from './cgroups/node-cgroups.ts';
import { NodePressure, observationOfPods, observationsOf } from './evict/node-pressure.ts';
import type { Observations } from './evict/pressure.ts';
import { ImageCollector, watchImages } from './images/collect-images.ts';
import { defaultImageGcPolicy, type ImageGcPolicy } from './images/image-gc.ts';

/** What it takes of a kubelet's options. */
export interface ReclaimOptions extends Pick<
  IsolationOptions,
  'nodeName' | 'informers' | 'runtime' | 'clock' | 'logger' | 'directories' | 'settings' | 'trees'
> {
  readonly proc: Pick<Proc, 'memory' | 'cpuCount' | 'bootId' | 'kernelRelease'>;
  /** Undefined: the kubelet's defaults. */
  readonly imageGc?: ImageGcPolicy;
  /** Names of images that are never collected. */
  readonly pinnedImages?: readonly string[];
}

/** Both tell of the node by one recorder of events; the stack ends it last. */
export function startReclaim(
  stack: AsyncDisposableStack,
  options: ReclaimOptions,
): { readonly collector: ImageCollector; readonly pressure: NodePressure } {
  const { runtime, clock, logger, nodeName, directories } = options;
  const { eviction } = options.settings ?? defaultSettings;
  const { client } = options.informers;
  const recorder = stack.use(
    createEventRecorder({ client, component: 'kubelet', host: nodeName, clock, logger }),
  );
  const node = { kind: nodes, object: nodeReference(nodeName) };
  const warn = (reason: string, message: string): void => recorder.record(node, 'Warning', reason, message);
  const collector = new ImageCollector({
    ...{ runtime, warn, clock, logger },
    policy: options.imageGc ?? defaultImageGcPolicy,
    pinned: options.pinnedImages ?? [],
    readDisk: () => readDisk(directories.pods),
    isPressed: ({ bytes, availableBytes }) =>
      isDiskLow({ diskBytes: bytes, diskAvailableBytes: availableBytes }, eviction),
  });
  stack.use(watchImages(collector, { clock, logger }));
  const pressure = new NodePressure({
    ...{ settings: eviction, warn },
    relieveDisk: () => collector.relieve(),
    observe: () => observe(options),
  });
  return { collector, pressure };
}

/** Of the machine, and of all pods together where they have a limit together. */
async function observe({
  proc,
  directories,
  trees,
  settings = defaultSettings,
}: ReclaimOptions): Promise<Observations> {
  const machine = await readMachine(proc, directories.pods);
  const [pods] = trees === undefined ? [] : planNodeCgroups(machine, settings).own;
  return new Map([
    ...(await observationsOf(machine, directories.pods)),
    ...observationOfPods(pods?.resources.memoryMaxBytes, pods && (await trees?.own.stats(pods.path))),
  ]);
}
