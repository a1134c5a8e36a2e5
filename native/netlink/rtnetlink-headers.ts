/** The fixed headers of rtnetlink messages (linux/rtnetlink.h). */

/** struct ifinfomsg (linux/rtnetlink.h) */
export const ifinfomsgLayout = {
  size: 16,
  ifi_family: 0,
  ifi_index: 4,
  ifi_flags: 8,
  ifi_change: 12,
} as const;
/** struct ifaddrmsg (linux/if_addr.h) */
export const ifaddrmsgLayout = {
  size: 8,
  ifa_family: 0,
  ifa_prefixlen: 1,
  ifa_scope: 3,
  ifa_index: 4,
} as const;
/** struct rtmsg (linux/rtnetlink.h) */
export const rtmsgLayout = {
  size: 12,
  rtm_family: 0,
  rtm_dst_len: 1,
  rtm_table: 4,
  rtm_protocol: 5,
  rtm_scope: 6,
  rtm_type: 7,
  rtm_flags: 8,
} as const;

/** struct ndmsg (linux/neighbour.h) */
export const ndmsgLayout = {
  size: 12,
  ndm_family: 0,
  ndm_ifindex: 4,
  ndm_state: 8,
  ndm_flags: 10,
} as const;

export function linkHeader(link: {
  readonly index?: number;
  readonly flags?: number;
  readonly change?: number;
}): Buffer {
  const header = Buffer.alloc(ifinfomsgLayout.size);
  header.writeInt32LE(link.index ?? 0, ifinfomsgLayout.ifi_index);
  header.writeUInt32LE(link.flags ?? 0, ifinfomsgLayout.ifi_flags);
  header.writeUInt32LE(link.change ?? 0, ifinfomsgLayout.ifi_change);
  return header;
}
