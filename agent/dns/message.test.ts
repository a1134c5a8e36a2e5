import { decode, type Answer } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { emptyReply, renderReply, type DnsReply } from './message.ts';
import { ednsOf, queryOf, soaOf } from './outside/messages.fixture.ts';

const ttl = 5;
const host = 'web.shop.svc.cluster.local';
const reply = (sections: Partial<DnsReply>): DnsReply => ({ ...emptyReply(0), ...sections });
const address = (name: string, data: string): Answer => ({ type: 'A', name, ttl, data });
const server = (target: string): Answer => ({
  type: 'SRV',
  name: `_http._tcp.${host}`,
  ttl,
  data: { priority: 0, weight: 50, port: 80, target },
});

describe('renderReply()', () => {
  const types: readonly { readonly name: string; readonly record: Answer }[] = [
    { name: 'A', record: address(host, '10.96.0.80') },
    { name: 'AAAA', record: { type: 'AAAA', name: host, ttl, data: 'fd00::50' } },
    { name: 'CNAME', record: { type: 'CNAME', name: host, ttl, data: 'db.shop.svc.cluster.local' } },
    { name: 'NS', record: { type: 'NS', name: 'cluster.local', ttl, data: 'ns.dns.cluster.local' } },
    { name: 'PTR', record: { type: 'PTR', name: '80.0.96.10.in-addr.arpa', ttl, data: host } },
    { name: 'SRV', record: server(host) },
    { name: 'SOA', record: soaOf('cluster.local', ttl, 7) },
    {
      name: 'MX, which is none of ours',
      record: { type: 'MX', name: host, ttl, data: { preference: 1, exchange: host } },
    },
    { name: 'the root', record: { type: 'NS', name: '.', ttl, data: 'a.root-servers.net' } },
  ];
  test.each(types)('writes a record as it is read: $name', ({ record }) => {
    const said = decode(renderReply(queryOf(host), reply({ answers: [record] }), 'udp')).answers;
    expect(said).toEqual([{ ...record, class: 'IN', flush: false }]);
  });

  test('points to a name in small and large letters as it was asked', () => {
    const asked = 'WeB.shop.svc.cluster.local';
    const bytes = renderReply(queryOf(asked), reply({ answers: [address(asked, '10.96.0.80')] }), 'udp');
    expect(decode(bytes).answers).toMatchObject([{ name: asked }]);
    expect(bytes.length).toBe(12 + asked.length + 2 + 4 + 16);
  });

  const many = Array.from({ length: 100 }, (_, index) => address(host, `10.244.0.${index}`));
  const cuts = [
    { name: 'all', answers: 10, additionals: 5, want: [10, 1, 5], isCut: false },
    {
      name: 'what was asked for, without what is beside it',
      answers: 20,
      additionals: 20,
      want: [20, 1, 0],
      isCut: false,
    },
    {
      name: 'as many answers as there is room for',
      answers: 100,
      additionals: 20,
      want: [29, 0, 0],
      isCut: true,
    },
  ];
  test.each(cuts)('has $name', ({ answers, additionals, want, isCut }) => {
    const sections = { answers: many.slice(0, answers), additionals: many.slice(0, additionals) };
    const bytes = renderReply(queryOf(host), reply({ ...sections, authorities: [soaOf(host, 5, 5)] }), 'udp');
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect([6, 8, 10].map((at) => bytes.readUInt16BE(at))).toEqual(want);
    expect((bytes.readUInt16BE(2) & 0x200) !== 0).toBe(isCut);
  });

  test('leaves room for what a client of EDNS is told', () => {
    const query = queryOf(host, 'A', { additionals: [ednsOf()] });
    const bytes = renderReply(query, reply({ answers: many.slice(0, 74) }), 'udp');
    expect(bytes.length).toBeLessThanOrEqual(1232);
    expect(decode(bytes).additionals).toMatchObject([{ type: 'OPT' }]);
  });
});
