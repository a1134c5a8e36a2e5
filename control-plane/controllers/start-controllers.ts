import type { Clock } from '#base/clock.ts';
import { watchPresence } from '#base/presence.ts';
import type { Logger } from '#base/log.ts';
import type { Controller } from '#client/controller.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { ControllerContext, MayHold } from './controller-context.ts';
import { runClusterRoleAggregation } from './clusterrole-aggregation/reconcile.ts';
import { runCronJobs } from './cronjob/reconcile.ts';
import { runDaemonSets } from './daemonset/reconcile.ts';
import { runDeployments } from './deployment/reconcile.ts';
import { runDisruptionBudgets, runStaleDisruptions } from './disruption/reconcile.ts';
import { runEndpoints } from './endpointslice/reconcile.ts';
import { runEndpointsMirroring } from './endpointslice-mirroring/reconcile.ts';
import { runGarbageCollector } from './garbage/reconcile.ts';
import { runJobs } from './job/reconcile.ts';
import { runNamespaces } from './namespace/reconcile.ts';
import { runNodeIpam } from './node-ipam/reconcile.ts';
import { runNodeLifecycle, runTaintEviction } from './node-lifecycle/reconcile.ts';
import { runPodGc } from './pod-gc/reconcile.ts';
import { runClaimProtection, runServiceCidrProtection, runVolumeProtection } from './protection/reconcile.ts';
import { runResourceQuotas } from './quota/reconcile.ts';
import { runReplicaSets, runReplicationControllers } from './replicaset/reconcile.ts';
import { runDefaultServiceAccounts, runRootCa } from './serviceaccount/reconcile.ts';
import { runStatefulSets } from './statefulset/reconcile.ts';

export interface ControllersOptions {
  /** Not owned. Shared with the scheduler, so that a pod just created is seen by it at once. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pod addresses of the cluster (`10.244.0.0/16`), shared out to nodes; undefined: nodes bring their own. */
  readonly clusterCidr?: string | undefined;
  readonly nodePrefixLength?: number | undefined;
  /** The CA of the API server's serving certificate, as PEM. */
  readonly rootCaPem: string;
  /** Where the server is in this process: what a namespace may hold, so that most of its kinds need not be listed as it goes. */
  readonly mayHold?: MayHold | undefined;
}

/** Runs every controller until disposed. */
export function startControllers(options: ControllersOptions): AsyncDisposable {
  const { informers, clock, logger, clusterCidr, nodePrefixLength, mayHold } = options;
  const { client } = informers;
  const recorders = new Map<string, EventRecorder>();
  const recorder = (component: string): EventRecorder => {
    const found = recorders.get(component) ?? createEventRecorder({ client, component, clock, logger });
    recorders.set(component, found);
    return found;
  };
  const presence = watchPresence(clock);
  const context: ControllerContext = { client, informers, clock, logger, presence, mayHold, recorder };
  const controllers: readonly Controller[] = [
    runDeployments(context),
    runReplicaSets(context),
    runReplicationControllers(context),
    runDaemonSets(context),
    runStatefulSets(context),
    runJobs(context),
    runCronJobs(context),
    runEndpoints(context),
    runEndpointsMirroring(context),
    runDefaultServiceAccounts(context),
    runRootCa(context, options.rootCaPem),
    runNamespaces(context),
    runNodeLifecycle(context),
    runTaintEviction(context),
    ...(clusterCidr === undefined ? [] : [runNodeIpam(context, { clusterCidr, nodePrefixLength })]),
    runPodGc(context),
    runDisruptionBudgets(context),
    runStaleDisruptions(context),
    runResourceQuotas(context),
    runClaimProtection(context),
    runVolumeProtection(context),
    runServiceCidrProtection(context),
    runGarbageCollector(context),
    runClusterRoleAggregation(context),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      presence[Symbol.dispose]();
      await Promise.all(controllers.map((controller) => controller[Symbol.asyncDispose]()));
      await Promise.all([...recorders.values()].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
