import { expect, test } from 'vitest';
import { encodeNetOp, type MessageOp } from './rtnetlink-encode.ts';

const resolver = { linkIndex: () => 4, netnsFd: () => 1 };

/**
 * What `bridge vlan` and `ip link` of iproute2 6.1 send, taken down by strace(1): header, struct ifinfomsg, attributes. Ours ends a text
 * with a NUL, which iproute2 leaves out.
 */
const rows: readonly (readonly [op: MessageOp, want: readonly string[]])[] = [
  [
    { op: 'addBridgeVlans', name: 'v0', first: 5, isNative: true },
    ['2c000000130005000700000000000000', '07000000040000000000000000000000', '0c001a000800020006000500'],
  ],
  [
    { op: 'addBridgeVlans', name: 'v0', first: 7, last: 9 },
    [
      '34000000130005000700000000000000',
      '07000000040000000000000000000000',
      '14001a0008000200080007000800020010000900',
    ],
  ],
  [
    { op: 'removeBridgeVlans', name: 'v0', first: 1 },
    ['2c000000110005000700000000000000', '07000000040000000000000000000000', '0c001a000800020000000100'],
  ],
  [
    { op: 'setBridge', name: 'br0', vlanFiltering: true },
    [
      '3c000000100005000700000000000000',
      '00000000040000000000000000000000',
      '1c0012000b00010062726964676500000c0002000500070001000000',
    ],
  ],
];

/** NLA_F_NESTED is a hint that iproute2 leaves out here. */
const withoutHints = (bytes: Buffer): string => bytes.toString('hex').replaceAll(/(1a|12|02)80/g, '$100');

test.each(rows)('%j', (op, want) => {
  expect(withoutHints(encodeNetOp(op, resolver, 7))).toBe(want.join(''));
});
