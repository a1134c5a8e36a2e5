/** The codec of DHCP by known bytes, and what a lease is. Anything at all: test/fuzz/dhcp.test.ts. */
import { describe, expect, test } from 'vitest';
import { broadcastMac, decodeFrame, encodeFrame } from './frame.ts';
import { leaseOf } from './lease.ts';
import {
  addressBytes,
  decodeDhcp,
  dhcpOption,
  encodeDhcp,
  uint32Bytes,
  type DhcpMessage,
} from './message.ts';

const ack = (options: readonly (readonly [number, Uint8Array])[], yourAddress = '10.1.0.7'): DhcpMessage => ({
  from: 'server',
  type: 'ACK',
  transaction: 0xdead_beef,
  seconds: 3,
  isBroadcast: true,
  clientAddress: '0.0.0.0',
  yourAddress,
  mac: '02:00:00:00:00:07',
  options: new Map([
    [dhcpOption.serverIdentifier, addressBytes('10.1.0.1')],
    [dhcpOption.leaseSeconds, uint32Bytes(3600)],
    ...options,
  ]),
});
const lease = (...options: readonly (readonly [number, Uint8Array])[]) =>
  leaseOf(ack(options), '02:00:00:00:00:01');
const ips = (...texts: readonly string[]): Buffer => Buffer.concat(texts.map(addressBytes));

test('a DISCOVER is what RFC 2131 figure 1 and RFC 2132 say', () => {
  const bytes = encodeDhcp({
    ...ack([]),
    from: 'client',
    type: 'DISCOVER',
    yourAddress: '0.0.0.0',
    options: new Map(),
  });
  expect(bytes).toHaveLength(300);
  expect(bytes.subarray(0, 12).toString('hex')).toBe('01010600deadbeef00038000');
  expect(bytes.subarray(28, 34).toString('hex')).toBe('020000000007');
  expect(bytes.subarray(236, 244).toString('hex')).toBe('63825363350101ff');
});

test('what is written is read, long options and all', () => {
  const message = ack([[224, Buffer.alloc(600, 7)]]);
  expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
});

test('options go on in the fields of server and file name', () => {
  const bytes = encodeDhcp(ack([[dhcpOption.overload, Buffer.of(3)]]));
  bytes.set([dhcpOption.routers, 4, 10, 1, 0, 1, 255], 108);
  bytes.set([dhcpOption.subnetMask, 4, 255, 255, 0, 0, 255], 44);
  const read = decodeDhcp(bytes);
  expect(read?.options.get(dhcpOption.routers)).toEqual(ips('10.1.0.1'));
  expect(read?.options.get(dhcpOption.subnetMask)).toEqual(ips('255.255.0.0'));
});

test('a frame has lengths and checksums that add up', () => {
  const datagram = {
    sourceMac: '02:00:00:00:00:07',
    targetMac: broadcastMac,
    source: '0.0.0.0',
    target: '255.255.255.255',
    sourcePort: 68,
    targetPort: 67,
    payload: Buffer.from('abc'),
  };
  const frame = encodeFrame(datagram);
  expect(frame.toString('hex')).toBe(
    'ffffffffffff02000000000708004500001f0000000040117acf00000000ffffffff00440043000b3aef616263',
  );
  expect(decodeFrame(Buffer.concat([frame, Buffer.alloc(19)]))).toEqual(datagram);
});

describe('leaseOf()', () => {
  test('times are those of RFC 2131 where the server says none, and its own where they make sense', () => {
    expect(lease()).toMatchObject({ renewMs: 1_800_000, rebindMs: 3_150_000, expiryMs: 3_600_000 });
    const said = [[58, uint32Bytes(60)] as const, [59, uint32Bytes(90)] as const];
    expect(lease(...said)).toMatchObject({ renewMs: 60_000, rebindMs: 90_000 });
    expect(lease([58, uint32Bytes(9999)])).toMatchObject({ renewMs: 1_800_000 });
    expect(lease([51, uint32Bytes(0xffff_ffff)])?.renewMs).toBeGreaterThan(1e12);
    expect(lease([51, uint32Bytes(0)])).toMatchObject({ expiryMs: 10_000 });
  });

  test.each([
    [[1, ips('255.255.255.0')], '10.1.0.7/24'],
    [[1, ips('255.255.255.255')], '10.1.0.7/32'],
    [[1, ips('255.0.255.0')], '10.1.0.7/8'],
    [[1, Buffer.of(255)], '10.1.0.7/8'],
  ] as const)('mask %j: %s', (mask, want) => expect(lease(mask)?.address).toBe(want));

  test('routes: classless ones alone where there are any', () => {
    const router = [3, ips('10.1.0.1', '10.1.0.9')] as const;
    const hosts = [33, ips('10.9.9.9', '10.1.0.5')] as const;
    expect(lease(router, hosts)).toMatchObject({
      gateway: '10.1.0.1',
      routes: [
        { dst: '10.9.9.9/32', gw: '10.1.0.5' },
        { dst: '0.0.0.0/0', gw: '10.1.0.1' },
      ],
    });
    const classless = [121, Buffer.from('18c0a8050a01000108ac00000000000a010001', 'hex')] as const;
    expect(lease(router, hosts, classless)?.routes).toEqual([
      { dst: '192.168.5.0/24', gw: '10.1.0.1' },
      { dst: '172.0.0.0/8' },
      { dst: '0.0.0.0/0', gw: '10.1.0.1' },
    ]);
  });

  test('names: a domain that could be more than a name is left out', () => {
    expect(lease([6, ips('10.1.0.2')], [15, Buffer.from('lan.example\0')])?.dns).toEqual({
      nameservers: ['10.1.0.2'],
      domain: 'lan.example',
    });
    expect(lease([15, Buffer.from('x\noptions rotate')])?.dns).toEqual({});
  });

  test.each([
    ['no address', leaseOf(ack([], '0.0.0.0'), '')],
    ['no server', leaseOf({ ...ack([]), options: new Map([[51, uint32Bytes(60)]]) }, '')],
    ['no time', leaseOf({ ...ack([]), options: new Map([[54, ips('10.1.0.1')]]) }, '')],
  ])('%s is no lease', (_name, found) => expect(found).toBeUndefined());
});
