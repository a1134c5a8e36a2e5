/** Frames and messages of DHCP, which whoever is on the link may send. */
import { array, constantFrom, integer, record, subarray, tuple, uint8Array } from 'fast-check';
import { expect } from 'vitest';
import { broadcastMac, decodeFrame, encodeFrame } from '#cni-plugins/dhcp/frame.ts';
import { leaseOf } from '#cni-plugins/dhcp/lease.ts';
import {
  addressBytes,
  decodeDhcp,
  encodeDhcp,
  uint32Bytes,
  type DhcpMessage,
} from '#cni-plugins/dhcp/message.ts';
import { fuzz } from './fuzz.ts';

const ack = (options: readonly (readonly [number, Uint8Array])[]): DhcpMessage => ({
  from: 'server',
  type: 'ACK',
  transaction: 7,
  seconds: 0,
  isBroadcast: false,
  clientAddress: '0.0.0.0',
  yourAddress: '10.1.0.7',
  mac: '02:00:00:00:00:07',
  options: new Map([[54, addressBytes('10.1.0.1')], [51, uint32Bytes(60)], ...options]),
});
const frameBase = {
  sourceMac: '02:00:00:00:00:07',
  targetMac: broadcastMac,
  source: '0.0.0.0',
  target: '255.255.255.255',
  sourcePort: 67,
  targetPort: 68,
};

fuzz('DHCP bytes', {
  seconds: 1,
  arbitrary: tuple(
    uint8Array({ maxLength: 400 }),
    integer({ min: 0, max: 300 }),
    uint8Array({ maxLength: 64 }),
  ),
  check: ([bytes, at, damage]) => {
    decodeFrame(bytes);
    decodeDhcp(bytes);
    const whole = encodeDhcp(ack([[121, bytes.subarray(0, 200)]]));
    whole.set(damage.subarray(0, Math.max(0, whole.length - at)), Math.min(at, whole.length));
    const message = decodeDhcp(whole);
    if (message !== undefined) leaseOf(message, '');
    const frame = encodeFrame({ ...frameBase, payload: whole });
    frame.set(damage.subarray(0, 20), Math.min(at, frame.length - 20));
    const datagram = decodeFrame(frame);
    if (datagram !== undefined) expect(datagram.payload.length).toBeLessThanOrEqual(whole.length);
  },
});

fuzz('DHCP messages come back as they were', {
  seconds: 1,
  arbitrary: record({
    from: constantFrom('client', 'server'),
    type: constantFrom('DISCOVER', 'OFFER', 'REQUEST', 'ACK', 'NAK', 'RELEASE'),
    transaction: integer({ min: 0, max: 0xffff_ffff }),
    codes: subarray([3, 6, 12, 15, 50, 54, 61, 121, 224]),
    values: array(uint8Array({ maxLength: 700 }), { minLength: 9, maxLength: 9 }),
  }),
  check: ({ codes, values, ...head }) => {
    const options = new Map(codes.map((code, i) => [code, Buffer.from(values[i] ?? [])]));
    const message: DhcpMessage = { ...ack([]), ...head, options };
    expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
  },
});
