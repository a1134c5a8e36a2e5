import { describe, expect, it } from 'vitest';
import { formatAddress, formatMac, maskPrefix, parseAddress, parseMac, parsePrefix } from './address.ts';

describe('parseAddress() and formatAddress()', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fd00::1:0:0:2', 'fd00::1:0:0:2'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.1.2.3', '::ffff:a01:203'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ])('%s is written %s', (text, want) => {
    expect(formatAddress(parseAddress(text).bytes)).toBe(want);
  });

  it.each(['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', '1:2', ':::', 'host'])('refuses %j', (text) => {
    expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });
});

describe('parsePrefix()', () => {
  it.each([
    ['10.1.2.3/8', '10.0.0.0', 8],
    ['10.1.2.3', '10.1.2.3', 32],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['fd00::ffff/65', 'fd00::', 65],
    ['10.1.2.255/25', '10.1.2.128', 25],
  ])('%s has the network %s and the length %i', (text, network, length) => {
    const masked = maskPrefix(parsePrefix(text));
    expect([formatAddress(masked.bytes), masked.length]).toEqual([network, length]);
  });

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '::/129', '/8'])('refuses %j', (text) => {
    expect(() => parsePrefix(text)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });
});

describe('parseMac()', () => {
  it('reads and writes', () => expect(formatMac(parseMac('0A:58:0a:00:00:02'))).toBe('0a:58:0a:00:00:02'));
  it('refuses others', () => expect(() => parseMac('0a:58')).toThrow('parse MAC'));
});
