import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '#base/clock.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import type { ServerCommandOptions } from '#bin/options/command-options.ts';

export interface ServerAddressParts {
  readonly port: number;
  /** As who may write the Lease. */
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The address that this server has in common with others, if it has one: needs root. Disposed, another has it at once. */
export async function startServerAddress(
  { virtualAddress: addresses = [], advertiseAddress }: ServerCommandOptions,
  { port, client, clock, logger: log }: ServerAddressParts,
): Promise<AsyncDisposable | undefined> {
  if (addresses.length === 0) return undefined;
  // What talks to the kernel most servers never load.
  const [{ startVirtualAddress }, { openAnnouncer }, { createSyncNetlink }, { createSyncNft }, { findLink }] =
    await Promise.all([
      import('#agent/network/announce/virtual-address.ts'),
      import('#native/neighbour/announcer.linux.ts'),
      import('#native/netlink/sync.ts'),
      import('#native/nft/nft.linux.ts'),
      import('./find-link.ts'),
    ]);
  const stack = new AsyncDisposableStack();
  const netlink = stack.use(createSyncNetlink());
  stack.use(
    startVirtualAddress({
      ...{ addresses, port, client, clock, log },
      identity: `${hostname()}_${randomUUID()}`,
      own: { [familyOfIp(advertiseAddress) ?? 4]: advertiseAddress },
      open: async (events) => openAnnouncer({ link: await findLink(netlink, [advertiseAddress]), ...events }),
      nft: createSyncNft(),
    }),
  );
  return stack;
}
