import { resolve } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { connect } from '#client/access/connect.ts';
import { runOperator } from '#client/operator/run-operator.ts';
import { connectDriver } from '#control-plane/csi/controller-driver.ts';
import { ensureSnapshotKinds } from '#control-plane/csi/snapshots/snapshot-definitions.ts';
import { startCsiController } from '#control-plane/csi/start-csi-controller.ts';
import { createLogger } from './program/log.ts';
import { announceReady } from './program/ready.ts';
import { stopSignal } from './program/stop-signal.ts';

export interface CsiCommandOptions {
  readonly endpoint: string;
  readonly kubeconfig?: string | undefined;
  readonly namespace: string;
  /** Of a driver that runs once: no other can be at work. */
  readonly lease: boolean;
  /** False: others see to them. */
  readonly snapshots: boolean;
}

/** What the sidecars of a driver do, in one process beside it, until a signal ends it. */
export async function runCsi({
  endpoint,
  kubeconfig,
  namespace,
  lease,
  snapshots,
}: CsiCommandOptions): Promise<void> {
  const stop = stopSignal();
  const end = new AbortController();
  void stop.then((signal) => end.abort(new DOMException(signal, 'AbortError')));
  const logger = createLogger(process.env, { process: 'csi' });
  using driver = await connectDriver(endpoint);

  await using client = connect(kubeconfig === undefined ? {} : { kubeconfig: resolve(kubeconfig) });

  logger.info({ driver: driver.name, capabilities: [...driver.capabilities] }, 'driver');
  const takesSnapshots = snapshots && driver.capabilities.has('CREATE_DELETE_SNAPSHOT');
  if (takesSnapshots) await ensureSnapshotKinds({ client, logger, clock: systemClock, signal: end.signal });
  await announceReady(process.env);
  await runOperator({
    client,
    ...{ signal: end.signal, logger, clock: systemClock },
    ...(lease ? { lease: { namespace, name: `podwright-csi-${driver.name.replaceAll('/', '-')}` } } : {}),
    start: (context) => startCsiController({ ...context, driver, namespace, takesSnapshots }),
  });
}
