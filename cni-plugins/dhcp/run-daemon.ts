/** The daemon as a process of its own: systemd listens for it, starts it by the first call, and it stays, since leases end otherwise. */
import { once } from 'node:events';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { serveDaemon } from './daemon-socket.ts';
import { startDhcpDaemon } from './daemon.ts';
import { openDhcpLink } from './open-link.linux.ts';

/** The first descriptor that systemd hands over (sd_listen_fds(3), SD_LISTEN_FDS_START). */
const firstListenFd = 3;
/** Beside the socket, on a tmpfs. */
const stateDir = '/run/podwright-cni/dhcp';

/** Until SIGTERM. @throws E_USAGE where systemd has handed over no socket */
export async function runDhcpDaemon(
  netlink: Netlink,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (env['LISTEN_FDS'] !== '1' || env['LISTEN_PID'] !== String(process.pid))
    throw new PodwrightError(
      'E_USAGE',
      'run the DHCP daemon: systemd hands it its socket; start podwright-cni-dhcp.socket',
    );
  const stopped = once(process, 'SIGTERM');
  await using daemon = await startDhcpDaemon({
    netlink,
    openLink: (netns, ifname) => openDhcpLink(netlink, netns, ifname),
    stateDir,
    clock: systemClock,
    random: Math.random,
    onProblem: (problem) => void process.stderr.write(`${problem}\n`),
  });

  const server = serveDaemon(daemon);
  server.listen({ fd: firstListenFd });
  await stopped;
  server.close();
}
