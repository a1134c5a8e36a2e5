import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import type { Transport } from '#client/transport.ts';
import type { ExecCredential } from './exec-credential.ts';

/** A credential is renewed so long before its end. */
const earlyMs = 10_000;

/** A transport that asks who it is before it is first used, before that expires, and once more when the server does not know it. */
export function createExecTransport(
  options: HttpTransportOptions,
  run: () => Promise<ExecCredential>,
): Transport {
  let known: ExecCredential | undefined;
  let asking: Promise<ExecCredential> | undefined;
  const ask = (): Promise<ExecCredential> => {
    asking ??= run()
      .then((credential) => (known = credential))
      .finally(() => (asking = undefined));
    return asking;
  };
  const isFresh = ({ expiresMs }: ExecCredential): boolean =>
    expiresMs === undefined || options.clock.now() < expiresMs - earlyMs;
  const inner = createHttpTransport({
    ...options,
    token: () => known?.token ?? '',
    credentials: () => ({
      caPem: options.caPem,
      clientCertPem: known?.clientCertPem ?? options.clientCertPem,
      clientKeyPem: known?.clientKeyPem ?? options.clientKeyPem,
    }),
  });
  return {
    request: async (request) => {
      const used = known !== undefined && isFresh(known) ? known : await ask();
      const response = await inner.request(request);
      if (response.status !== 401) return response;
      if (known === used) await ask();
      return inner.request(request);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
