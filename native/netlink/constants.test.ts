import { describe, expect, it } from 'vitest';
import { askHeaders, type HeaderQuestion, ourValues } from '#native/sys/header-check.ts';
import * as constants from './netlink-constants.ts';
import { ifaddrmsgLayout, ifinfomsgLayout, ndmsgLayout, rtmsgLayout } from './rtnetlink-headers.ts';

const question: HeaderQuestion = {
  headers: [
    'linux/netlink.h',
    'linux/rtnetlink.h',
    'linux/if_link.h',
    'linux/if_bridge.h',
    'linux/veth.h',
    'linux/if_addr.h',
    'linux/if.h',
    'linux/fib_rules.h',
    'linux/neighbour.h',
    'linux/pkt_sched.h',
    'linux/pkt_cls.h',
    'linux/tc_act/tc_mirred.h',
  ],
  constants: Object.keys(constants),
  structs: {
    'struct ifinfomsg': ifinfomsgLayout,
    'struct ifaddrmsg': ifaddrmsgLayout,
    'struct rtmsg': rtmsgLayout,
    'struct ndmsg': ndmsgLayout,
  },
};

/** In the header as an expression with a sign: ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER). */
const signed = { NLA_TYPE_MASK: 0xffff };

const answer = askHeaders(question);

describe.skipIf(answer === undefined)('constants of native/netlink (needs gcc and kernel headers)', () => {
  it('are those of the headers', () => {
    if (answer === undefined) return;
    const mask = (values: ReadonlyMap<string, number>) =>
      [...values].map(([name, value]) => [name, name in signed ? value & 0xffff : value]);
    expect(mask(ourValues(question, constants, answer))).toEqual(mask(answer.values));
    expect(answer.unknown).toEqual([]);
  });
});
