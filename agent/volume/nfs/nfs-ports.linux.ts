import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { formatIp, parseIp, type Ip } from '#base/ip.ts';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { mountOnThread } from '#native/mount/mount-thread.ts';
import type { NfsPorts } from './mount-nfs.ts';

/** A server that takes no connection by then is not mounted: mount(2) would wait for minutes. */
const reachMs = 5_000;
/** A mount that is not there by then is tried again: the kernel gives up by itself some time. */
const mountMs = 60_000;

export function createNfsPorts(): NfsPorts {
  return {
    lookup: async (server) => {
      const found = await lookup(server.replace(/^\[(.*)\]$/, '$1'), { all: true });
      return found.flatMap(({ address }) => parseIp(address) ?? []);
    },
    reach: reachServer,
    mount: (target, { source, flags, data }, signal) =>
      mountOnThread(
        { target, spec: { kind: 'other', type: 'nfs', source, data }, options: flags },
        { signal, timeoutMs: mountMs },
      ),
  };
}

/** The address of this end of a connection. */
async function reachServer(server: Ip, port: number, signal: AbortSignal): Promise<Ip> {
  const host = formatIp(server);
  const { promise, resolve, reject } = Promise.withResolvers<Ip>();
  const socket = connect({ host, port });
  const fail = (why: string, cause?: unknown): void =>
    reject(new PodwrightError('E_CONNECTION', `${host} port ${port}: ${why}`, { cause }));
  using _timer = systemClock.after(reachMs, () => fail('no answer'));

  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', () => {
    const own = parseIp(socket.localAddress ?? '');
    if (own === undefined) fail('it is reached from no address');
    else resolve(own);
  });
  socket.once('error', (error) => fail(errnoOf(error) ?? error.message, error));
  try {
    signal.throwIfAborted();
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}
