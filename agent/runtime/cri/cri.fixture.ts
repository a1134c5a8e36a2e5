import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { CriOptions } from './context.ts';
import type { CriUnderTest } from './cri.conformance.ts';
import { startCriServer } from './cri-server.ts';

export interface CriServerUnderTest extends CriUnderTest {
  readonly endpoint: string;
  /** Ends the server, and serves another runtime (or the same) by what the first wrote down. */
  restart(runtime?: Runtime): Promise<void>;
}

/** Our server over a runtime, and a client of it. `image` is there. */
export async function serveCri(
  runtime: Runtime,
  under: { readonly image: string; readonly isReal: boolean; readonly change?: Partial<CriOptions> },
): Promise<CriServerUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'cri-'));
  const contract = await loadContract('cri-v1');
  const serve = (served: Runtime): Promise<AsyncDisposable> =>
    startCriServer({
      path: `${directory}/cri.sock`,
      runDirectory: directory,
      dataDirectory: directory,
      runtime: served,
      network: { status: async () => ({ isReady: true, reason: '' }) },
      hostNames: { hosts: () => '127.0.0.1\thost\n', resolvConf: () => 'nameserver 192.0.2.53\n' },
      clock: systemClock,
      log: silentLogger,
      streamHost: '127.0.0.1',
      cgroupDefault: 'cri',
      isSelinuxEnabled: false,
      appArmor: undefined,
      cdiDirectories: [`${directory}/cdi`],
      userNamespaceProblem: undefined,
      version: '0',
      ...under.change,
    });
  let server = await serve(runtime);
  const endpoint = `unix://${directory}/cri.sock`;
  const client = createUnixClient(contract, { endpoint, timeoutMs: 120_000 });
  return {
    endpoint,
    client,
    runtime: contract.services['runtime.v1.RuntimeService'],
    images: contract.services['runtime.v1.ImageService'],
    directory: `${directory}/logs`,
    image: under.image,
    isReal: under.isReal,
    isOurs: true,
    sandbox: { linux: { security_context: { namespace_options: { pid: 'CONTAINER' } } } },
    restart: async (next = runtime) => {
      await server[Symbol.asyncDispose]();
      server = await serve(next);
    },
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}
