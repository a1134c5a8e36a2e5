import { parseDurationMs } from '#api/meta/duration.ts';
import { deviceTaintRules, podGroups, storageVersionMigrations } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import type { ApiServer } from '#control-plane/apiserver/server.ts';
import { chooseControllers, controllerNames } from '#control-plane/controllers/controller-names.ts';
import type { OwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import type { SchedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import type { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import {
  autoscalingOf,
  nodeZonesOf,
  type ControllerCommandOptions,
} from '#bin/options/controller-options.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';
import { managerSettingsOf } from '#bin/options/manager-flags.ts';
import { nodePrefixLengthsOf, type NodePrefixOptions } from '#bin/options/network-options.ts';
import { serves, type RuntimeConfigCommandOptions } from '#bin/options/runtime-config.ts';
import type { ManagerState } from './manager-port.ts';

export interface LoopOptions {
  readonly options: Pick<
    ServerCommandOptions,
    'clusterCidr' | 'clusterSigningDuration' | 'loadBalancerCidr' | 'disableScheduler'
  > &
    NodePrefixOptions &
    RuntimeConfigCommandOptions &
    ControllerCommandOptions;
  readonly scheduling?: SchedulerSettings;
  readonly pluginFiles?: readonly string[];
  readonly schedulerMetrics?: SchedulerMetrics;
  readonly clients: OwnClients;
  /** Told which loops run. */
  readonly manager?: ManagerState | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Scheduler and controllers, as clients of the server in the same process, with one cache between them. */
export function startLoops(
  server: ApiServer,
  { options, scheduling, pluginFiles, schedulerMetrics, clients, manager, logger, clock }: LoopOptions,
): AsyncDisposableStack {
  const stack = new AsyncDisposableStack();
  const client = clients.controllerManager;
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const isOn = chooseControllers(options.controllers);
  const controllers = startControllers({
    informers,
    clientAs: clients.controller,
    clock,
    logger,
    clusterCidrs: options.clusterCidr,
    nodePrefixLengths: nodePrefixLengthsOf(options),
    loadBalancerCidrs: options.loadBalancerCidr,
    hasPodGroups: serves(options, podGroups),
    hasStorageMigrations: serves(options, storageVersionMigrations),
    hasTaintRules: serves(options, deviceTaintRules),
    isOn,
    autoscaling: autoscalingOf(options),
    nodeZones: nodeZonesOf(options),
    ...managerSettingsOf(options),
    rootCa: server.rootCa,
    signToken: server.signSecretToken,
    mayHold: server.mayHold,
    volumeCounts: manager?.volumeCounts,
    loopCounts: manager?.loopCounts,
    signRequest: (order) =>
      server.signRequest({ ...order, lifeMsMax: parseDurationMs(options.clusterSigningDuration) }),
  });
  if (manager !== undefined) {
    manager.running = controllerNames.filter(isOn);
    manager.informers = informers;
    stack.defer(() => {
      manager.running = [];
      manager.informers = undefined;
    });
  }
  const scheduler =
    options.disableScheduler === true
      ? undefined
      : startScheduler({
          ...{ informers, client: clients.scheduler, clock, logger },
          settings: scheduling,
          pluginFiles,
          metrics: schedulerMetrics,
          hasPodGroups: serves(options, podGroups),
          hasTaintRules: serves(options, deviceTaintRules),
        });
  // All stop at once: at the end of a term none goes on because another still has something to finish.
  stack.defer(async () => {
    await Promise.all([scheduler?.[Symbol.asyncDispose](), controllers[Symbol.asyncDispose]()]);
  });
  return stack;
}
