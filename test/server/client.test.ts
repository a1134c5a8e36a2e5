/** The client's conformance suite against the real server, over TLS and in process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { namespaces, serviceAccounts } from '#api/schema/kind-ref.ts';
import { systemClock } from '#base/clock.ts';
import { createApiClient } from '#client/api-client.ts';
import { describeApiClient, type ClientUnderTest } from '#client/client.conformance.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import type { Transport } from '#client/transport.ts';
import { startApiServer, type ApiServer } from '#control-plane/apiserver/server.ts';

const namespace = 'client-conformance';

/** A server of its own for each case, with what controllers would have made in the namespace. */
async function open(connect: (server: ApiServer, directory: string) => Transport): Promise<ClientUnderTest> {
  await using stack = new AsyncDisposableStack();

  const directory = mkdtempSync(join(tmpdir(), 'podwright-client-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const server = stack.use(
    await startApiServer({
      dataDir: directory,
      listeners: [{ host: '127.0.0.1', port: 0 }],
      advertiseAddress: '127.0.0.1',
      clock: systemClock,
    }),
  );
  const client = createApiClient({
    transport: stack.use(connect(server, directory)),
    userAgent: 'conformance',
  });
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(serviceAccounts, { metadata: { name: 'default', namespace } });
  const owned = stack.move();
  return { client, applies: true, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describeApiClient('real server, over TLS', () =>
  open((server, directory) => {
    const file = join(directory, 'kubeconfig');
    writeFileSync(file, server.adminKubeconfig(`https://127.0.0.1:${server.ports[0]}`), { mode: 0o600 });
    return createHttpTransport(loadKubeconfig(file, systemClock));
  }),
);

describeApiClient('real server, in process', () => open((server) => server.transport()));
