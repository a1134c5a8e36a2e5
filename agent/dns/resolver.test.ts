import { decode, type RecordType } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { parseHosts } from './dns-config.ts';
import type { DnsView } from './dns-view.ts';
import { createForwarder } from './outside/forwarder.ts';
import {
  addressOf,
  answersOf,
  asks,
  ednsOf,
  says,
  soaOf,
  type SaidFields,
} from './outside/messages.fixture.ts';
import { createResolver, type Resolver } from './resolver.ts';

const { signal } = new AbortController();
const web = { kind: 'cluster', ips: ['10.96.0.80'], ports: [] } as const;
const view: DnsView = {
  service: (namespace, name) => (namespace === 'shop' && name === 'web' ? web : undefined),
  endpoints: () => [],
  hasNamespace: (namespace) => namespace === 'shop',
  reverse: () => [],
};
const podAddress = '10.244.0.5';
const searches = ['team.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'corp.test'];

/** With a resolver outside that knows these names, and no others. */
function start(outside: Readonly<Record<string, SaidFields>>): { resolve: Resolver; asked: string[] } {
  const asked: string[] = [];
  const upstream = {
    servers: () => ['192.0.2.53'],
    ask: async (query: Buffer) => {
      const [question] = decode(query).questions ?? [];
      asked.push(`${question?.type} ${question?.name}`);
      return says(query, outside[question?.name ?? ''] ?? { code: 3, authorities: [soaOf('test', 60, 60)] });
    },
  };
  const resolve = createResolver({
    zone: 'cluster.local',
    ttlSeconds: 5,
    ownCidrs: ['10.244.0.0/16'],
    view,
    forwarder: createForwarder({ upstreamOf: () => upstream, clock: createFakeClock() }),
    hosts: () => parseHosts('192.0.2.9 registry.corp registry\n2001:db8::9 registry.corp'),
    searchesOf: (ip) => (ip === podAddress ? searches : []),
  });
  return { resolve, asked };
}

async function ask(resolve: Resolver, message: Buffer, transport: 'udp' | 'tcp' = 'udp'): Promise<Buffer> {
  const reply = await resolve(message, { transport, address: podAddress, signal });
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

const codeOf = (reply: Buffer): unknown => (decode(reply) as { rcode?: unknown }).rcode;

describe("along a pod's search list", () => {
  const outside = { 'api.example.com': { answers: [addressOf('api.example.com', 60)] } };

  test('one question finds a name outside', async () => {
    const { resolve, asked } = start(outside);
    const reply = await ask(resolve, asks('api.example.com.team.svc.cluster.local'));
    expect(answersOf(reply)).toEqual([
      'api.example.com.team.svc.cluster.local 5 api.example.com',
      'api.example.com 60 192.0.2.1',
    ]);
    expect(asked).toEqual(['A api.example.com.corp.test', 'A api.example.com']);
  });

  test('a Service of another namespace is found without asking anybody', async () => {
    const { resolve, asked } = start(outside);
    expect(answersOf(await ask(resolve, asks('web.shop.team.svc.cluster.local'))).at(-1)).toBe(
      'web.shop.svc.cluster.local 5 10.96.0.80',
    );
    expect(asked).toEqual([]);
  });

  test.each<[string, RecordType, string]>([
    ['api.example.com.team.svc.cluster.local', 'AAAA', 'NOERROR'],
    ['none.example.com.team.svc.cluster.local', 'A', 'NXDOMAIN'],
    ['misspelt.team.svc.cluster.local', 'A', 'NXDOMAIN'],
  ])('%s %s is %s', async (name, type, want) => {
    const { resolve } = start({ 'api.example.com': { authorities: [soaOf('example.com', 60, 60)] } });
    const reply = await ask(resolve, asks(name, type));
    expect([codeOf(reply), answersOf(reply), decode(reply).authorities?.length]).toEqual([want, [], 1]);
  });

  test('where a resolver cannot find out, the pod goes on by itself', async () => {
    const { resolve } = start({ 'api.example.com.corp.test': { code: 2 } });
    expect(codeOf(await ask(resolve, asks('api.example.com.team.svc.cluster.local')))).toBe('NXDOMAIN');
  });
});

describe('names that the cluster is told', () => {
  test.each<[string, RecordType, readonly string[]]>([
    ['Registry.corp', 'A', ['Registry.corp 5 192.0.2.9']],
    ['registry.corp', 'AAAA', ['registry.corp 5 2001:db8::9']],
    ['registry.corp', 'MX', []],
    [
      '9.2.0.192.in-addr.arpa',
      'PTR',
      ['9.2.0.192.in-addr.arpa 5 registry.corp', '9.2.0.192.in-addr.arpa 5 registry'],
    ],
  ])('%s %s', async (name, type, want) => {
    const { resolve, asked } = start({});
    const reply = await ask(resolve, asks(name, type));
    expect([codeOf(reply), answersOf(reply)]).toEqual(['NOERROR', want]);
    expect(asked).toEqual([]);
  });
});

describe('what was said outside', () => {
  const many = Array.from({ length: 40 }, (_, i) => addressOf('many.test', 60, `192.0.2.${i}`));
  const edns = ednsOf();

  test('has the id and the letters of who asks, and an OPT only for who speaks EDNS', async () => {
    const { resolve } = start({
      'a.test': { answers: [addressOf('a.test', 60)], additionals: [edns] },
    });
    await ask(resolve, asks('a.test'));
    const plain = decode(await ask(resolve, asks('A.test')));
    expect(plain).toMatchObject({
      id: 7,
      flag_ra: true,
      flag_aa: false,
      questions: [{ name: 'A.test' }],
      additionals: [],
    });
    const extended = decode(await ask(resolve, asks('a.test', 'A', { additionals: [edns] })));
    expect(extended.additionals?.map(({ type }) => type)).toEqual(['OPT']);
    expect(extended.answers).toHaveLength(1);
  });

  test('is cut over UDP where it is too long, and whole by TCP', async () => {
    const { resolve, asked } = start({ 'many.test': { answers: many } });
    const cut = await ask(resolve, asks('many.test'));
    expect(cut.length).toBeLessThanOrEqual(512);
    const { answers: kept, ...said } = decode(cut);
    expect(said).toMatchObject({ flag_tc: true, questions: [{ name: 'many.test' }] });
    expect(kept).toHaveLength(Math.floor((512 - 12 - 15) / 25));
    expect(decode(await ask(resolve, asks('many.test'), 'tcp')).answers).toHaveLength(40);
    expect(asked).toHaveLength(1);
  });
});
