/** `podwright cloud-controller`: the loops of a cloud, until a signal ends them. */
import { resolve } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { connect } from '#client/access/connect.ts';
import { runOperator } from '#client/operator/run-operator.ts';
import { startCloudControllers } from '#control-plane/cloud/start-cloud-controllers.ts';
import { createLogger } from '#bin/program/log.ts';
import { announceReady } from '#bin/program/ready.ts';
import { stopSignal } from '#bin/program/stop-signal.ts';
import { refuseOptions } from '#bin/options/option-problems.ts';

import { loadCloud } from './load-cloud.ts';
import {
  cloudFaults,
  cloudProblems,
  cloudSettingsOf,
  leaseTimesOf,
  type CloudControllerCommandOptions,
} from './options.ts';

export async function runCloudController(options: CloudControllerCommandOptions): Promise<void> {
  const stop = stopSignal();
  refuseOptions('cloud-controller', cloudProblems(options));
  const end = new AbortController();
  void stop.then((signal) => end.abort(new DOMException(signal, 'AbortError')));
  const logger = createLogger(process.env, { process: 'cloud-controller' });
  const { kubeconfig, clusterName, cloudProvider, cloudConfig } = options;
  const cloud = await loadCloud(cloudProvider, cloudConfig, {
    clusterName,
    log: (message, fields = {}) => logger.info({ ...fields, cloud: true }, message),
    signal: end.signal,
  });
  const settings = cloudSettingsOf(options);
  refuseOptions('cloud-controller', cloudFaults(settings, cloud));

  await using client = connect({
    ...(kubeconfig === undefined ? {} : { kubeconfig: resolve(kubeconfig) }),
    userAgent: 'cloud-controller-manager',
  });

  logger.info({ cloud: cloud.name, server: client.server }, 'cloud');
  await announceReady(process.env);
  const { leaderElectResourceNamespace: namespace, leaderElectResourceName: name } = options;
  await runOperator({
    client,
    ...{ signal: end.signal, logger, clock: systemClock },
    ...(options.leaderElect ? { lease: { namespace, name, times: leaseTimesOf(options) } } : {}),
    start: (context) => startCloudControllers({ ...context, ...settings, cloud }),
  });
}
