/** An agent answers calls of podwright's CNI programs on RUN/cni.sock: it holds what such a program would have to load first. */
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createResident } from '#cni-plugins/program/resident.ts';
import type { ProgramPorts } from '#cni-plugins/program/answer-call.ts';
import { clearSocketPath } from './socket-path.ts';

/** Calls that were taken are ended; their callers are told. */
export async function startCniSocket(socketPath: string, ports: ProgramPorts): Promise<AsyncDisposable> {
  clearSocketPath(socketPath);
  const server = createResident({ ports });
  server.listen(socketPath);
  await once(server, 'listening');
  chmodSync(socketPath, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
