/** Announcements over packet sockets (packet(7)): of IPv6 also as a member of the groups that are asked (ipv6(7)). */
import { bytesOfIp, parseIp } from '#base/ip.ts';
import { checked } from '#native/sys/errno.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { setsockopt } from '#native/sys/libc.ts';
import { PacketSocket, type FilterInstruction } from '#native/sys/packet-socket.ts';
import { startPollingThread, type PollingData } from '#native/sys/polling-thread.ts';
import type { Announcer, AnnouncerOptions } from './announcer.ts';
import type { AnnouncerThreadData, FromAnnouncer, ToAnnouncer } from './announcer-thread.ts';
import { etherTypes, solicitedNode } from './neighbour-frames.ts';

// Instructions of linux/bpf_common.h.
const [loadByte, isEqual, giveBack] = [0x30, 0x15, 0x06];
/** The next header of IPv6 is ICMPv6, and that is a question or an answer of Neighbor Discovery. */
const neighbourFilter: readonly FilterInstruction[] = [
  [loadByte, 0, 0, 20],
  [isEqual, 0, 4, 58],
  [loadByte, 0, 0, 54],
  [isEqual, 1, 0, 135],
  [isEqual, 0, 1, 136],
  [giveBack, 0, 0, 0xffff_ffff],
  [giveBack, 0, 0, 0],
];
/** SOL_IPV6, IPV6_ADD_MEMBERSHIP and IPV6_DROP_MEMBERSHIP (linux/in6.h) */
const [solIpv6, addMembership, dropMembership] = [41, 20, 21];

export async function openAnnouncer({ link, netns, onHeard, onDeath }: AnnouncerOptions): Promise<Announcer> {
  await using stack = new AsyncDisposableStack();
  const where = { linkIndex: link.index, ...(netns === undefined ? {} : { netns }) };
  const arp = stack.use(new PacketSocket({ ...where, etherType: etherTypes[4] }));
  const ndp = stack.use(new PacketSocket({ ...where, etherType: etherTypes[6], filter: neighbourFilter }));
  const member = stack.use(
    inetSocket({ kind: 'datagram', family: 6, ...(netns === undefined ? {} : { netns }) }),
  );
  const data: Omit<AnnouncerThreadData, keyof PollingData> = { sockets: [arp.fd, ndp.fd], link };
  const thread = stack.use(
    startPollingThread<ToAnnouncer>({
      url: new URL('./announcer-thread.ts', import.meta.url),
      name: 'podwright-announcer',
      data,
      close: { kind: 'close' },
      onMessage: (message) => onHeard(message as FromAnnouncer),
      onDeath,
    }),
  );
  let groups: ReadonlyMap<string, Uint8Array> = new Map();
  const owned = stack.move();
  return {
    setAnswered: (addresses) => {
      const wanted = groupsOf(addresses);
      // Before it answers, it is asked.
      for (const [key, group] of wanted)
        if (!groups.has(key)) setMember(member, link.index, [addMembership, group]);
      for (const [key, group] of groups)
        if (!wanted.has(key)) setMember(member, link.index, [dropMembership, group]);
      groups = wanted;
      thread.tell({ kind: 'answer', addresses });
    },
    setWatched: (addresses) => thread.tell({ kind: 'watch', addresses }),
    announce: (address) => thread.tell({ kind: 'announce', address }),
    ask: (address, toMac) => thread.tell({ kind: 'ask', address, toMac }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Several addresses may have one. */
function groupsOf(addresses: ReadonlySet<string>): ReadonlyMap<string, Uint8Array> {
  return new Map(
    [...addresses].flatMap((text) => {
      const ip = parseIp(text);
      if (ip?.family !== 6) return [];
      const group = solicitedNode(bytesOfIp(ip));
      return [[Buffer.from(group).toString('hex'), group] as const];
    }),
  );
}

function setMember(
  socket: OwnedFd,
  linkIndex: number,
  [option, group]: readonly [option: number, group: Uint8Array],
): void {
  const request = Buffer.alloc(20); // struct ipv6_mreq
  request.set(group);
  request.writeInt32LE(linkIndex, 16);
  checked(
    setsockopt(socket.fd, solIpv6, option, request, request.length),
    'join or leave a group of the link',
  );
}
