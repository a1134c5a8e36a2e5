import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { serviceAccounts } from '#api/schema/kind-ref.ts';
import { startLoops } from '#bin/program/start-loops.ts';
import { createInformers } from '#client/informers.ts';
import { startApiServer } from '#control-plane/apiserver/server.ts';
import { createOwnClients, type OwnClients } from '#control-plane/controllers/own-clients.ts';
import { makeScratch, startGuard, type RunningCluster } from './scratch.ts';

const removeScratch = 'cat >/dev/null; rm -rf -- "$1"';
const loopOptions = { clusterCidr: ['10.244.0.0/16'], clusterSigningDuration: '8760h' };

/** A control plane in this process, with its store in a directory that goes when the process does. */
export async function startApi({
  controllers = true,
  logger = silentLogger,
}: {
  readonly controllers?: boolean | undefined;
  readonly logger?: Logger | undefined;
}): Promise<RunningCluster> {
  await using undo = new AsyncDisposableStack();

  const directory = makeScratch();
  undo.use(startGuard(removeScratch, [directory])).unref();
  const server = undo.use(
    await startApiServer({
      dataDir: directory,
      listeners: [{ host: '127.0.0.1', port: 0 }],
      advertiseAddress: '127.0.0.1',
      clock: systemClock,
      logger,
    }),
  );
  const kubeconfig = server.adminKubeconfig(`https://127.0.0.1:${server.ports[0]}`);
  const kubeconfigPath = join(directory, 'kubeconfig');
  writeFileSync(kubeconfigPath, kubeconfig, { mode: 0o600 });
  if (controllers) {
    const clients = createOwnClients(server);
    undo.use(startLoops(server, { options: loopOptions, clients, logger, clock: systemClock }));
    await untilPodsMayBeMade(clients);
  }
  const owned = undo.move();
  return { kubeconfig, kubeconfigPath, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A pod needs the account of its namespace, which a controller makes. */
async function untilPodsMayBeMade({ controllerManager: client }: OwnClients): Promise<void> {
  await using informers = createInformers({ client, clock: systemClock });
  const made = Promise.withResolvers<void>();
  const selection = { namespace: 'default', fieldSelector: 'metadata.name=default' };
  using _handler = informers.for(serviceAccounts, selection).onChange(({ current }) => {
    if (current !== undefined) made.resolve();
  });
  await made.promise;
}
