import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { leadsSockets, type FastPath } from '#agent/network/fast-path/choice.ts';
import { createSocketBalancer } from '#native/bpf/sockets/socket-balancer.linux.ts';
import type { SocketBalancer } from '#native/bpf/sockets/socket-balancer.ts';
import { podsCgroup } from './open-cgroups.ts';

/** What leads the sockets of a node's pods; where that is not asked for, what an agent that was asked for it left goes. */
export async function openSockets(
  { cgroup, fastPath }: { readonly cgroup?: string; readonly fastPath: FastPath },
  log: Logger,
): Promise<{ readonly sockets?: SocketBalancer }> {
  const sockets = createSocketBalancer(podsCgroup(cgroup));
  if (leadsSockets(fastPath)) return { sockets };
  try {
    await sockets.remove();
  } catch (error) {
    // A kernel without such programs has none that were left.
    if (!isPodwrightError(error, 'E_UNSUPPORTED'))
      log.warn({ error: describeError(error) }, 'programs that lead sockets to Services are left');
  }
  return {};
}
