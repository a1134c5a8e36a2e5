import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import type { Controller } from '#client/controller.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import { runAttacher } from './attach.ts';
import { runCapacity } from './capacity.ts';
import type { ControllerDriver } from './controller-driver.ts';
import { runModifier } from './modify.ts';
import { runProvisioner } from './provision.ts';
import { runResizer } from './resize.ts';
import { runSnapshotBinder } from './snapshots/bind-snapshots.ts';
import { runSnapshotter } from './snapshots/take-snapshots.ts';

export interface CsiControllerOptions {
  /** Not owned. */
  readonly driver: ControllerDriver;
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where capacities are told of. */
  readonly namespace: string;
  /** Default true; false: a snapshot-controller and a csi-snapshotter do that. */
  readonly takesSnapshots?: boolean;
}

/** The work of a driver's sidecars that its capabilities allow: provisioner, attacher, resizer, modifier, snapshotter. Each ends when disposed. */
export function startCsiController(options: CsiControllerOptions): readonly Controller[] {
  const { driver, client, clock, logger, namespace, takesSnapshots = true } = options;
  const recorder = createEventRecorder({ client, component: driver.name, clock, logger });
  const context = { ...options, recorder };
  const controllers = [
    ...(driver.capabilities.has('CREATE_DELETE_VOLUME')
      ? [runProvisioner(context), runCapacity(context, namespace)]
      : []),
    runAttacher(context),
    runResizer(context),
    runModifier(context),
    ...(takesSnapshots && driver.capabilities.has('CREATE_DELETE_SNAPSHOT')
      ? [runSnapshotBinder(context), runSnapshotter(context)]
      : []),
  ];
  return controllers.map((controller, index) =>
    index > 0
      ? controller
      : {
          ...controller,
          // Last of all: what the others say is told.
          [Symbol.asyncDispose]: async () => {
            await controller[Symbol.asyncDispose]();
            await recorder[Symbol.asyncDispose]();
          },
        },
  );
}
