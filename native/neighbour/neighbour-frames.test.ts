import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeNeighbourMessage,
  encodeAnnouncements,
  encodeAnswer,
  encodeAsk,
  type NeighbourMessage,
} from './neighbour-frames.ts';

const mac = '02:00:00:00:00:01';
const other = '02:00:00:00:00:02';
const hex = (frame: Buffer): string => frame.toString('hex');

describe('frames as others write them', () => {
  test('a question of ARP is that of RFC 826', () => {
    expect(hex(encodeAsk('203.0.113.5', { mac, ip: '192.0.2.1' }))).toBe(
      'ffffffffffff02000000000108060001080006040001020000000001c0000201000000000000cb007105',
    );
  });

  // Taken of a Linux 6.1: `ip addr add fd00::5/64` with duplicate address detection, and ping.
  test('a question of Neighbor Discovery goes to the group of the address', () => {
    const frame = encodeAsk('fd00::5', { mac, ip: 'fd00::1' });
    expect(hex(frame.subarray(0, 14))).toBe('3333ff00000502000000000186dd');
    expect(hex(frame.subarray(14, 54))).toBe(
      '6000000000203afffd000000000000000000000000000001ff0200000000000000000001ff000005',
    );
    expect(hex(frame.subarray(54, 56))).toBe('8700');
    expect(hex(frame.subarray(78))).toBe('0101020000000001');
  });
});

const asks = (message: Partial<NeighbourMessage>, family: 4 | 6): NeighbourMessage => ({
  family,
  mac: other,
  ...message,
});

test.each<[string, Buffer, object | undefined]>([
  [
    'ARP asks',
    encodeAsk('203.0.113.5', { mac, ip: '192.0.2.1' }),
    { asks: '203.0.113.5', from: '192.0.2.1' },
  ],
  ['ARP asks as nobody', encodeAsk('203.0.113.5', { mac }), { asks: '203.0.113.5' }],
  [
    'ARP answers',
    encodeAnswer('203.0.113.5', mac, asks({ asks: '203.0.113.5', from: '192.0.2.2' }, 4)),
    { claims: '203.0.113.5' },
  ],
  [
    'ARP announces, by a question',
    encodeAnnouncements('203.0.113.5', mac)[0] as Buffer,
    { claims: '203.0.113.5' },
  ],
  [
    'ARP announces, by an answer',
    encodeAnnouncements('203.0.113.5', mac)[1] as Buffer,
    { claims: '203.0.113.5' },
  ],
  ['NDP asks', encodeAsk('fd00::5', { mac, ip: 'fd00::1' }), { asks: 'fd00::5', from: 'fd00::1' }],
  ['NDP asks one', encodeAsk('fd00::5', { mac, ip: 'fd00::1' }, other), { asks: 'fd00::5', from: 'fd00::1' }],
  ['NDP asks as nobody', encodeAsk('fd00::5', { mac }), { asks: 'fd00::5' }],
  ['NDP answers', encodeAnswer('fd00::5', mac, asks({ from: 'fd00::2' }, 6)), { claims: 'fd00::5' }],
  ['NDP answers nobody', encodeAnswer('fd00::5', mac, asks({}, 6)), { claims: 'fd00::5' }],
  ['NDP announces', encodeAnnouncements('fd00::5', mac)[0] as Buffer, { claims: 'fd00::5' }],
])('%s, and is understood', (_name, frame, want) => {
  const message = decodeNeighbourMessage(frame);
  expect(message).toMatchObject({ mac, ...want });
  expect(message?.claims).toBe(
    (want as NeighbourMessage).claims ?? (frame.readUInt16BE(12) === 0x0806 ? message?.from : undefined),
  );
  for (let length = 0; length < frame.length; length++)
    expect(decodeNeighbourMessage(frame.subarray(0, length))).toBeUndefined();
});

test('one bit of another value is not understood, where a sum guards it', () => {
  const frame = encodeAsk('fd00::5', { mac, ip: 'fd00::1' });
  for (let bit = 22 * 8; bit < frame.length * 8; bit++) {
    const broken = Buffer.from(frame);
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(decodeNeighbourMessage(broken), `bit ${bit}`).toBeUndefined();
  }
});

test('whatever comes, it is understood or not', () => {
  const heads = [Buffer.from('0806', 'hex'), Buffer.from('86dd6000000000183aff', 'hex')];
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 12, maxLength: 120 }),
      fc.constantFrom(...heads),
      (bytes, head) => {
        decodeNeighbourMessage(Buffer.concat([bytes.subarray(0, 12), head, bytes.subarray(12)]));
      },
    ),
    { numRuns: 500 },
  );
});
