/** The resident as a process of its own: systemd listens for it, starts it by the first call, and it ends when nobody calls. */
import { once } from 'node:events';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ProgramPorts } from './answer-call.ts';
import { createResident } from './resident.ts';

/** A pod that starts is followed by others; after that the memory is worth more than the start of a process. */
const idleMs = 300_000;
/** The first descriptor that systemd hands over (sd_listen_fds(3), SD_LISTEN_FDS_START). */
const firstListenFd = 3;

/** @throws E_USAGE where systemd has handed over no socket */
export async function runResident(
  ports: ProgramPorts,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (env['LISTEN_FDS'] !== '1' || env['LISTEN_PID'] !== String(process.pid))
    throw new PodwrightError(
      'E_USAGE',
      'run the CNI resident: systemd hands it its socket; start podwright-cni.socket',
    );
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  let timer = systemClock.after(idleMs, stop);
  const server = createResident({
    ports,
    onCalls: (count) => {
      timer[Symbol.dispose]();
      if (count === 0) timer = systemClock.after(idleMs, stop);
    },
  });
  process.once('SIGTERM', () => stop());
  server.listen({ fd: firstListenFd });
  await stopped;
  server.close();
  await once(server, 'close');
}
