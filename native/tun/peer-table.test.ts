import { describe, expect, it } from 'vitest';
import { bytesOfIp, parseIp } from '#base/ip.ts';
import { noPeer, PeerAddresses, PeerTable } from './peer-table.ts';

const peers = [
  { ip: '192.0.2.1', port: 8285, networks: ['10.244.1.0/24', 'fd00:244:0:1::/64'] },
  { ip: '192.0.2.2', port: 8285, networks: ['10.244.2.0/23', 'fd00:244:0:2::/64'] },
  { ip: 'fd00::3', port: 8285, networks: ['10.244.9.0/32', 'fd00:244:0:3:8000::/65', 'nothing'] },
];

const bytes = (ip: string): Uint8Array => {
  const parsed = parseIp(ip);
  if (parsed === undefined) throw new Error(ip);
  return bytesOfIp(parsed);
};

/** The header of a packet. */
function packet(source: string, target: string): Buffer {
  const isV6 = source.includes(':');
  const header = Buffer.alloc(isV6 ? 40 : 20);
  header[0] = isV6 ? 0x60 : 0x45;
  header.set(bytes(source), isV6 ? 8 : 12);
  header.set(bytes(target), isV6 ? 24 : 16);
  return header;
}

describe('PeerTable', () => {
  const table = new PeerTable(peers);

  it.each([
    ['10.244.1.0', 0],
    ['10.244.1.255', 0],
    ['10.244.2.7', 1],
    ['10.244.3.255', 1],
    ['10.244.4.0', noPeer],
    ['10.244.0.255', noPeer],
    ['0.0.0.0', noPeer],
    ['255.255.255.255', noPeer],
    ['10.244.9.0', 2],
    ['10.244.9.1', noPeer],
    ['fd00:244:0:1::', 0],
    ['fd00:244:0:2:ffff::1', 1],
    ['fd00:244:0:3:7fff::', noPeer],
    ['fd00:244:0:3:8000::1', 2],
    ['fd00:244:0:4::', noPeer],
    ['::', noPeer],
  ])('%s is of %d, as source and as destination', (ip, want) => {
    const other = ip.includes(':') ? 'fd00:9::' : '203.0.113.1';
    const [to, from] = [packet(other, ip), packet(ip, other)];
    expect(table.targetOf(to, to.length)).toBe(want);
    expect(table.sourceOf(from, from.length)).toBe(want);
    expect(table.sourceOf(to, to.length)).toBe(noPeer);
  });

  it('finds nobody for what is no whole header, or of no family', () => {
    const cut = packet('203.0.113.1', '10.244.1.1');
    expect(table.targetOf(cut, 19)).toBe(noPeer);
    expect(table.targetOf(cut, 0)).toBe(noPeer);
    cut[0] = 0x55;
    expect(table.targetOf(cut, cut.length)).toBe(noPeer);
    expect(new PeerTable([]).targetOf(packet('fd00::', 'fd00:244:0:1::'), 40)).toBe(noPeer);
  });
});

describe('PeerAddresses', () => {
  const addresses = new PeerAddresses([...peers, { ip: 'no address', port: 1, networks: [] }]);

  it.each([
    ['192.0.2.1', 0],
    ['192.0.2.2', 1],
    ['192.0.2.3', noPeer],
    ['fd00::3', 2],
    ['fd00::4', noPeer],
    ['fd03::', noPeer], // Of the same hash.
    ['::192.0.2.1', noPeer],
  ])('%s is %d', (ip, want) => {
    const at = Buffer.concat([Buffer.alloc(4), bytes(ip)]);
    expect(addresses.find(at, 4, ip.includes(':') ? 4 : 1)).toBe(want);
  });
});
