import { describe, expect, it } from 'vitest';
import { askHeaders, type HeaderQuestion, ourValues } from '#native/sys/header-check.ts';
import * as constants from './nftables-constants.ts';

const question: HeaderQuestion = {
  headers: [
    'linux/netlink.h',
    'linux/netfilter/nfnetlink.h',
    'linux/netfilter/nf_tables.h',
    'linux/netfilter/nf_nat.h',
    'linux/netfilter.h',
    'linux/if_ether.h',
    'linux/icmp.h',
    'linux/icmpv6.h',
    'linux/netfilter/nfnetlink_conntrack.h',
  ],
  constants: Object.keys(constants),
};

const answer = askHeaders(question);

describe.skipIf(answer === undefined)('constants of native/nft (needs gcc and kernel headers)', () => {
  it('are those of the headers', () => {
    if (answer === undefined) return;
    expect(ourValues(question, constants, answer)).toEqual(answer.values);
    expect(answer.unknown).toEqual([]);
  });
});
