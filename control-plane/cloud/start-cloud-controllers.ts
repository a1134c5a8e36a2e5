import type { Cidr } from '#base/ip.ts';
import type { Controller } from '#client/controller.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';
import type { CloudContext } from './cloud-context.ts';
import { runCloudNodeLifecycle } from './node-lifecycle/reconcile.ts';
import { runCloudNodes } from './node/reconcile.ts';
import { runCloudRoutes } from './route/reconcile.ts';
import { runCloudServices } from './service/reconcile.ts';

/** Loops by the names of kube-cloud-controller-manager, and what they were called before 1.28. */
export const cloudControllerNames = [
  ['cloud-node-controller', 'cloud-node'],
  ['cloud-node-lifecycle-controller', 'cloud-node-lifecycle'],
  ['service-lb-controller', 'service'],
  ['node-route-controller', 'route'],
] as const;

export type CloudControllerName = (typeof cloudControllerNames)[number][0];

export interface CloudControllersOptions extends Omit<CloudContext, 'recorder'> {
  readonly isOn: (name: CloudControllerName) => boolean;
  readonly nodeStatusUpdateMs: number;
  readonly nodeMonitorMs: number;
  readonly nodeSyncsMax: number;
  readonly serviceSyncsMax: number;
  /** Undefined: no routes are made. */
  readonly routes: { readonly clusterCidrs: readonly Cidr[]; readonly periodMs: number } | undefined;
}

/** Runs the loops that are on and of which the cloud has a part. Each ends when disposed. */
export function startCloudControllers(options: CloudControllersOptions): readonly Controller[] {
  const { client, clock, logger, isOn } = options;
  const recorders: EventRecorder[] = [];
  const recorder = (component: string): EventRecorder => {
    const one = createEventRecorder({ client, component, clock, logger });
    recorders.push(one);
    return one;
  };
  const context: CloudContext = { ...options, recorder };
  const starts = startsOf(context, options);
  const names = cloudControllerNames.map(([name]) => name).filter(isOn);
  const running = names.filter((name) => starts[name] !== undefined);
  logger.info({ running, without: names.filter((name) => !running.includes(name)) }, 'controllers');
  return running
    .flatMap((name) => starts[name]?.() ?? [])
    .map((controller) => ({
      ...controller,
      // What it said before it ended is told.
      [Symbol.asyncDispose]: async () => {
        await controller[Symbol.asyncDispose]();
        await Promise.all(recorders.map((one) => one[Symbol.asyncDispose]()));
      },
    }));
}

/** Those of which the cloud has a part. */
function startsOf(
  context: CloudContext,
  { cloud: { instances, loadBalancers, routes }, ...settings }: CloudControllersOptions,
): Partial<Record<CloudControllerName, () => Controller>> {
  const { nodeStatusUpdateMs, nodeMonitorMs, nodeSyncsMax, serviceSyncsMax, routes: routing } = settings;
  const nodes = { statusUpdateMs: nodeStatusUpdateMs, concurrencyMax: nodeSyncsMax };
  return {
    ...(instances !== undefined && {
      'cloud-node-controller': () => runCloudNodes(context, instances, nodes),
      'cloud-node-lifecycle-controller': () => runCloudNodeLifecycle(context, instances, nodeMonitorMs),
    }),
    ...(loadBalancers !== undefined && {
      'service-lb-controller': () => runCloudServices(context, loadBalancers, serviceSyncsMax),
    }),
    ...(routes !== undefined &&
      routing !== undefined && {
        'node-route-controller': () => runCloudRoutes(context, routes, routing),
      }),
  };
}
