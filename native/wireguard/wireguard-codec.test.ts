import { describe, expect, it } from 'vitest';
import { MessageWriter, parseMessages } from '#native/netlink/codec.ts';
import {
  decodeDevice,
  decodeFamily,
  encodeGetDevice,
  encodeGetFamily,
  encodeSetDevice,
} from './wireguard-codec.ts';

const keyOf = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const hex = (bytes: Buffer): string => bytes.toString('hex');

/** Written down by hand from linux/genetlink.h and linux/wireguard.h: header, genlmsghdr, attributes. */
const golden = {
  getFamily:
    '24000000 1000 0100 01000000 00000000' + // length, type, flags, sequence, port id
    '03010000' + // CTRL_CMD_GETFAMILY, version 1
    '0e00 0200 776972656775617264 00 0000', // CTRL_ATTR_FAMILY_NAME "wireguard"
  getDevice:
    '1c000000 2100 0103 02000000 00000000' + // family 0x21, REQUEST|DUMP
    '00010000' + // WG_CMD_GET_DEVICE, version 1
    '0800 0200 77673000', // WGDEVICE_A_IFNAME "wg0"
  setDevice: [
    'e0000000 2100 0500 03000000 00000000', // REQUEST|ACK
    '01010000', // WG_CMD_SET_DEVICE, version 1
    '0800 0200 77673000',
    `2400 0300 ${'11'.repeat(32)}`, // WGDEVICE_A_PRIVATE_KEY
    '0600 0600 6cca 0000', // WGDEVICE_A_LISTEN_PORT 51820, in host order
    '9800 0880', // WGDEVICE_A_PEERS, nested
    '6400 0080', // a peer
    `2400 0100 ${'22'.repeat(32)}`, // WGPEER_A_PUBLIC_KEY
    '0800 0300 02000000', // WGPEER_A_FLAGS: REPLACE_ALLOWEDIPS
    '1400 0400 0200 ca6c c0000202 0000000000000000', // WGPEER_A_ENDPOINT: sockaddr_in
    '2000 0980 1c00 0080', // WGPEER_A_ALLOWEDIPS, one
    '0600 0100 0200 0000 0800 0200 0af40200 0500 0300 18 000000', // AF_INET, 10.244.2.0, 24
    '3000 0080', // a peer that goes
    `2400 0100 ${'33'.repeat(32)}`,
    '0800 0300 01000000', // REMOVE_ME
  ].join(''),
} as const;
const plain = (text: string): string => text.replaceAll(' ', '');

describe('requests of WireGuard, byte for byte', () => {
  it('find the family', () => expect(hex(encodeGetFamily('wireguard', 1))).toBe(plain(golden.getFamily)));
  it('read a device', () => expect(hex(encodeGetDevice(0x21, 'wg0', 2))).toBe(plain(golden.getDevice)));
  it('change a device', () => {
    const bytes = encodeSetDevice(
      0x21,
      'wg0',
      {
        privateKey: keyOf(0x11),
        listenPort: 51_820,
        peers: [
          {
            publicKey: keyOf(0x22),
            endpoint: { ip: '192.0.2.2', port: 51_820 },
            allowedIps: ['10.244.2.7/24'],
          },
          { publicKey: keyOf(0x33), isRemoved: true },
        ],
      },
      3,
    );
    expect(hex(bytes)).toBe(plain(golden.setDevice));
  });
  it('are refused for a key of another length', () =>
    expect(() => encodeSetDevice(1, 'wg0', { privateKey: 'AAAA', peers: [] }, 1)).toThrow(
      'WireGuard key of 3 bytes',
    ));
});

describe('decodeDevice()', () => {
  it('reads what a request would have set, and a peer that goes on in the next message', () => {
    const change = {
      listenPort: 51_820,
      peers: [
        {
          publicKey: keyOf(2),
          endpoint: { ip: 'fd00::2', port: 7 },
          allowedIps: ['10.244.2.0/24', 'fd00:2::/64'],
        },
      ],
    };
    const [first] = parseMessages(encodeSetDevice(0x21, 'wg0', change, 1));
    const [second] = parseMessages(
      encodeSetDevice(0x21, 'wg0', { peers: [{ publicKey: keyOf(2), allowedIps: ['10.244.9.0/24'] }] }, 1),
    );
    if (first === undefined || second === undefined) throw new Error('no messages');
    expect(decodeDevice([first, second])).toEqual({
      publicKey: undefined,
      listenPort: 51_820,
      peers: [
        {
          publicKey: keyOf(2),
          endpoint: { ip: 'fd00::2', port: 7 },
          allowedIps: ['10.244.2.0/24', 'fd00:2::/64', '10.244.9.0/24'],
        },
      ],
    });
  });
  it('is a device without a key where that is all zeros', () => {
    const writer = new MessageWriter()
      .message(0x21, 0, 1)
      .raw(Buffer.alloc(4))
      .attribute(4, Buffer.alloc(32))
      .finish();
    expect(decodeDevice(parseMessages(writer.bytes()))).toEqual({
      publicKey: undefined,
      listenPort: 0,
      peers: [],
    });
  });
  it('refuses a peer without a key', () => {
    const writer = new MessageWriter().message(0x21, 0, 1).raw(Buffer.alloc(4));
    const [message] = parseMessages(
      writer
        .nested(8, (list) => list.nested(0, () => undefined))
        .finish()
        .bytes(),
    );
    if (message === undefined) throw new Error('no message');
    expect(() => decodeDevice([message])).toThrow('no key');
  });
});

it('decodeFamily() reads the number that the kernel gave', () => {
  const [message] = parseMessages(
    new MessageWriter()
      .message(0x10, 0, 1)
      .raw(Buffer.alloc(4))
      .attribute(1, Buffer.from([0x21, 0]))
      .finish()
      .bytes(),
  );
  expect(message && decodeFamily(message)).toBe(0x21);
  expect(message && decodeFamily({ ...message, payload: Buffer.alloc(4) })).toBeUndefined();
});
