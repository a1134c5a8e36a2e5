import { parseDurationMs } from '#api/meta/duration.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import type { ApiServer } from '#control-plane/apiserver/server.ts';
import { chooseControllers } from '#control-plane/controllers/controller-names.ts';
import type { OwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import type { SchedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import {
  autoscalingOf,
  nodeZonesOf,
  type ControllerCommandOptions,
} from '#bin/options/controller-options.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';
import { nodePrefixLengthsOf, type NodePrefixOptions } from '#bin/options/network-options.ts';
import { servesPodGroups, type RuntimeConfigCommandOptions } from '#bin/options/runtime-config.ts';

export interface LoopOptions {
  readonly options: Pick<
    ServerCommandOptions,
    'clusterCidr' | 'clusterSigningDuration' | 'loadBalancerCidr'
  > &
    NodePrefixOptions &
    RuntimeConfigCommandOptions &
    ControllerCommandOptions;
  readonly scheduling?: SchedulerSettings;
  readonly pluginFiles?: readonly string[];
  readonly clients: OwnClients;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Scheduler and controllers, as clients of the server in the same process, with one cache between them. */
export function startLoops(
  server: ApiServer,
  { options, scheduling, pluginFiles, clients, logger, clock }: LoopOptions,
): AsyncDisposableStack {
  const stack = new AsyncDisposableStack();
  const client = clients.controllerManager;
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const controllers = startControllers({
    informers,
    clientAs: clients.controller,
    clock,
    logger,
    clusterCidrs: options.clusterCidr,
    nodePrefixLengths: nodePrefixLengthsOf(options),
    loadBalancerCidrs: options.loadBalancerCidr,
    hasPodGroups: servesPodGroups(options),
    isOn: chooseControllers(options.controllers),
    autoscaling: autoscalingOf(options),
    nodeZones: nodeZonesOf(options),
    rootCaPem: server.caCertPem,
    signToken: server.signSecretToken,
    mayHold: server.mayHold,
    signRequest: (order) =>
      server.signRequest({ ...order, lifeMsMax: parseDurationMs(options.clusterSigningDuration) }),
  });
  const scheduler = startScheduler({
    ...{ informers, client: clients.scheduler, clock, logger },
    settings: scheduling,
    pluginFiles,
    hasPodGroups: servesPodGroups(options),
  });
  // All stop at once: at the end of a term none goes on because another still has something to finish.
  stack.defer(async () => {
    await Promise.all([scheduler[Symbol.asyncDispose](), controllers[Symbol.asyncDispose]()]);
  });
  return stack;
}
