import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { parseMessages } from '#native/netlink/codec.ts';
import { AF_INET } from '#native/sys/constants.ts';
import { decodeConntrack, encodeConntrackDump } from './conntrack.ts';
import { encodeBatch } from './encode.ts';
import { everyExpression } from './fixtures/tables.ts';
import { splitReject } from './loads.ts';
import { renderValue, successor, valueBytes, valueRange, type ValueType } from './values.ts';

describe('valueBytes()', () => {
  it.each<readonly [ValueType, string | number, string]>([
    ['ipv4_addr', '10.0.0.255', '0a0000ff'],
    ['ipv6_addr', 'fd00::1', 'fd000000000000000000000000000001'],
    ['inet_proto', 'tcp', '06'],
    ['inet_proto', 17, '11'],
    ['inet_service', 8080, '1f90'],
    ['inet_service', '80', '0050'],
    ['mark', 0x4000, '00400000'],
    ['integer', 1, '01000000'],
    ['ifname', 'eth0', '65746830'.padEnd(32, '0')],
    ['ct_state', 'established,related', '06000000'],
    ['fib_addrtype', 'local', '02000000'],
  ])('%s %s is %s', (type, value, want) => expect(valueBytes(type, value).toString('hex')).toBe(want));

  it.each<readonly [ValueType, string | number]>([
    ['ipv4_addr', '10.0.0.256'],
    ['ipv4_addr', '10.0.0'],
    ['ipv4_addr', '10.0.0.1.2'],
    ['ipv4_addr', '10..0.1'],
    ['ipv4_addr', 1],
    ['ipv6_addr', '10.0.0.1'],
    ['inet_service', 65_536],
    ['inet_service', -1],
    ['inet_service', 1.5],
    ['inet_proto', 'toString'],
    ['ct_state', 'established,wrong'],
    ['ifname', 'sixteen-bytes-xx'],
    ['ifname', ''],
  ])('refuses %s %s', (type, value) => {
    expect(() => valueBytes(type, value)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });
});

describe('valueRange()', () => {
  it.each<readonly [ValueType, string | number, string, string]>([
    ['ipv4_addr', '10.1.2.3/16', '0a010000', '0a01ffff'],
    ['ipv4_addr', '0.0.0.0/0', '00000000', 'ffffffff'],
    ['ipv4_addr', '10.0.0.1-10.0.0.9', '0a000001', '0a000009'],
    ['inet_service', '80-90', '0050', '005a'],
    ['inet_service', 443, '01bb', '01bb'],
    ['inet_proto', 'ipv6-icmp', '3a', '3a'],
  ])('%s %s', (type, value, from, to) => {
    expect(valueRange(type, value).map((bytes) => bytes.toString('hex'))).toEqual([from, to]);
  });

  it('refuses a range backwards and a prefix of the other family', () => {
    expect(() => valueRange('inet_service', '90-80')).toThrow('90-80');
    expect(() => valueRange('ipv4_addr', 'fd00::/8')).toThrow('ipv4_addr');
  });

  it('successor() carries, and ends', () => {
    expect(successor(Buffer.from([0, 255, 255]))).toEqual(Buffer.from([1, 0, 0]));
    expect(successor(Buffer.from([255, 255]))).toBeUndefined();
  });
});

describe('renderValue()', () => {
  it.each<readonly [ValueType, string | number, string]>([
    ['inet_proto', 6, 'tcp'],
    ['inet_proto', 99, '99'],
    ['mark', 16_384, '0x00004000'],
    ['ct_state', 'related,established', 'established,related'],
    ['inet_service', '80-90', '80-90'],
    ['ipv4_addr', '10.0.0.0/8', '10.0.0.0/8'],
    ['ifname', 'eth0', '"eth0"'],
  ])('%s %s is %s', (type, value, want) => expect(renderValue(type, value)).toBe(want));
});

describe('splitReject()', () => {
  it('leaves other rules alone', () => {
    expect(splitReject({ exprs: [{ expr: 'counter' }] })).toHaveLength(1);
  });

  it('makes two of a rule for any protocol, the one for TCP first', () => {
    const rules = splitReject({ exprs: [{ expr: 'counter' }, { expr: 'reject' }], comment: 'c' });
    expect(rules.map((rule) => [rule.rejectsTcp, rule.exprs.length, rule.comment])).toEqual([
      [true, 3, 'c'],
      [false, 2, 'c'],
    ]);
  });
});

describe('encodeBatch()', () => {
  it('frames one transaction whose last message alone asks for an acknowledgement', () => {
    const batch = encodeBatch([
      { op: 'replaceTable', table: everyExpression },
      { op: 'removeTable', table: { family: 'ip', name: 'other' } },
    ]);
    const messages = parseMessages(batch.bytes);
    expect([messages[0]?.type, messages.at(-1)?.type]).toEqual([0x10, 0x11]);
    const asking = messages.filter((message) => (message.flags & 4) !== 0);
    expect(asking.map((message) => message.sequence)).toEqual([batch.lastSequence]);
    expect(messages.map((message) => message.sequence)).toEqual(messages.map((_, index) => index));
    expect(batch.opOfSequence(0)).toBeUndefined();
    expect(batch.opOfSequence(1)).toBe(0);
    expect(batch.opOfSequence(batch.lastSequence)).toBe(1);
  });
});

describe('decodeConntrack()', () => {
  it('survives truncation at every byte', () => {
    const [message] = parseMessages(encodeConntrackDump({ family: AF_INET }, 1));
    const whole = Buffer.concat([
      message?.payload ?? Buffer.alloc(4),
      Buffer.from('1c000180080001800c00028005000100110000000600030000350000', 'hex'),
    ]);
    for (let length = 0; length <= whole.length; length++) {
      try {
        decodeConntrack({ type: 0, flags: 0, sequence: 1, payload: whole.subarray(0, length) });
      } catch (error) {
        if (!(error instanceof PodwrightError) || error.code !== 'E_INVALID') throw error;
      }
    }
  });
});
