import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { decode, encode, type DecodedPacket, type RecordType } from 'dns-packet';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type {
  ConfigMap,
  Endpoint,
  EndpointSlice,
  Namespace,
  Service,
  ServiceSpec,
} from '#api/generated/objects.ts';
import { createInformerCache } from '#client/informer.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { answer } from './answer.ts';
import { createDnsView } from './dns-view.ts';
import { startDns } from './dns.ts';
import { serveConnection } from './listen.ts';
import { parseQuery } from './message.ts';
import { createResolver } from './resolver.ts';
import { DnsCounts } from './dns-counts.ts';
import { createForwarder } from './outside/forwarder.ts';
import { ednsOf } from './outside/messages.fixture.ts';
import type { Upstream } from './outside/upstream.ts';

const throwIt = (error: unknown): void => {
  throw error;
};

function service(name: string, spec: ServiceSpec): Service {
  return { metadata: { namespace: 'default', name, uid: name, resourceVersion: '5' }, spec };
}

function slice(
  name: string,
  endpoints: readonly Endpoint[],
  addressType: 'IPv4' | 'IPv6' = 'IPv4',
): EndpointSlice {
  const labels = { 'kubernetes.io/service-name': name };
  return {
    addressType,
    metadata: {
      namespace: 'default',
      name: `${name}-${addressType}`,
      uid: `${name}-${addressType}`,
      resourceVersion: '5',
      labels,
    },
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

const http = { name: 'http', port: 80, protocol: 'TCP' } as const;
const services = createInformerCache<Service>(throwIt);
const slices = createInformerCache<EndpointSlice>(throwIt);
const namespaces = createInformerCache<Namespace>(throwIt);
namespaces.replace(
  ['default', 'bare'].map((name) => ({ metadata: { name, uid: name, resourceVersion: '5' } })),
  '5',
);
services.replace(
  [
    service('web', { clusterIP: '10.96.0.80', clusterIPs: ['10.96.0.80', 'fd00::80'], ports: [http] }),
    service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [http] }),
    service('two', { clusterIP: 'None', clusterIPs: ['None'], ports: [http] }),
    service('empty', { clusterIP: 'None' }),
    service('old', { clusterIP: '010.96.000.081', clusterIPs: ['010.96.000.081'], ports: [http] }),
    service('edge', { clusterIP: 'None', ports: [http] }),
    service('pair', { clusterIP: 'None', ports: [http] }),
    service('old-pods', { clusterIP: 'None', ports: [http] }),
    service('out', { type: 'ExternalName', externalName: 'example.com' }),
    service('address', { type: 'ExternalName', externalName: '192.0.2.7' }),
    service('dns', {
      clusterIP: '10.96.0.53',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        { name: 'metrics', port: 9153, protocol: 'TCP' },
      ],
    }),
    service('in', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' }),
    service('alias', { type: 'ExternalName', externalName: 'two.default.svc.cluster.local' }),
    service('loop', { type: 'ExternalName', externalName: 'loop.default.svc.cluster.local' }),
  ],
  '5',
);
slices.replace(
  [
    slice('db', [
      { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.244.1.6'], conditions: {} },
      { addresses: ['10.244.1.7'], hostname: 'db-2', conditions: { ready: false } },
    ]),
    slice('two', [
      { addresses: ['10.244.3.1'], hostname: 'two-0', conditions: { ready: true } },
      { addresses: ['10.244.3.2'], hostname: 'two-1', conditions: { ready: true } },
    ]),
    slice('edge', [{ addresses: ['fd00:2::'], conditions: {} }, { addresses: ['::9'] }], 'IPv6'),
    slice('pair', [
      { addresses: ['10.244.4.1'], hostname: 'pod' },
      { addresses: ['10.244.4.2'], hostname: 'pod' },
    ]),
    slice('old-pods', [{ addresses: ['FD00:2:0::9'], conditions: { ready: true } }], 'IPv6'),
    slice('two', [{ addresses: ['fd00:2::1'], hostname: 'two-0', conditions: { ready: true } }], 'IPv6'),
    slice('web', [
      { addresses: ['10.244.2.8'], hostname: 'web-0', conditions: { ready: true } },
      { addresses: ['10.244.2.9'], conditions: { ready: true } },
      { addresses: ['10.244.2.10'], hostname: 'web-2', conditions: { ready: false } },
    ]),
  ],
  '5',
);
const view = createDnsView({ services, endpointSlices: slices, namespaces });
const options = {
  ...{ zone: 'cluster.local', ttlSeconds: 5, ownCidrs: ['10.244.0.0/16', '10.96.0.0/12'] },
  serverIps: ['10.96.0.10'],
};

/** The answer in words. */
function ask(type: string, name: string): string {
  const found = answer({ name, type }, view, options);
  if (found.kind === 'chase') return `chase ${found.target}`;
  if (found.kind !== 'records') return found.kind;
  const show = (data: unknown): string => {
    if (typeof data !== 'object' || data === null || !('target' in data)) return String(data);
    const { priority, weight, port, target } = data as Record<string, unknown>;
    return `${priority} ${weight} ${port} ${target}`;
  };
  return found.answers
    .map((record) => `${record.type} ${show('data' in record ? record.data : '')}`)
    .join(', ');
}

describe('answer()', () => {
  test.each([
    ['A', 'web.default.svc.cluster.local', 'A 10.96.0.80'],
    ['A', 'WEB.Default.svc.Cluster.Local.', 'A 10.96.0.80'],
    ['AAAA', 'web.default.svc.cluster.local', 'AAAA fd00::80'],
    [
      'ANY',
      'web.default.svc.cluster.local',
      'A 10.96.0.80, AAAA fd00::80, SRV 0 100 80 web.default.svc.cluster.local',
    ],
    ['MX', 'web.default.svc.cluster.local', 'no data'],
    // A label may neither begin nor end with a hyphen (RFC 1123, section 2.1; coredns#7430).
    [
      'SRV',
      'edge.default.svc.cluster.local',
      'SRV 0 50 8080 0--9.edge.default.svc.cluster.local, SRV 0 50 8080 fd00-2--0.edge.default.svc.cluster.local',
    ],
    ['AAAA', 'fd00-2--0.edge.default.svc.cluster.local', 'AAAA fd00:2::'],
    ['AAAA', '0--9.edge.default.svc.cluster.local', 'AAAA ::9'],
    // Pods of one hostname (kubernetes/dns#116).
    ['A', 'pod.pair.default.svc.cluster.local', 'A 10.244.4.1, A 10.244.4.2'],
    ['A', 'pair.default.svc.cluster.local', 'A 10.244.4.1, A 10.244.4.2'],
    // Addresses as older objects may have them.
    ['A', 'old.default.svc.cluster.local', 'A 10.96.0.81'],
    ['PTR', '81.0.96.10.in-addr.arpa', 'PTR old.default.svc.cluster.local'],
    ['AAAA', 'fd00-2--9.old-pods.default.svc.cluster.local', 'AAAA fd00:2::9'],
    [
      'PTR',
      `9.0.0.0.${'0.0.0.0.'.repeat(5)}2.0.0.0.0.0.d.f.ip6.arpa`,
      'PTR fd00-2--9.old-pods.default.svc.cluster.local',
    ],
    ['A', 'db.default.svc.cluster.local', 'A 10.244.1.6, A 10.244.0.5'],
    ['AAAA', 'db.default.svc.cluster.local', 'no data'],
    ['A', 'db-0.db.default.svc.cluster.local', 'A 10.244.0.5'],
    ['A', '10-244-1-6.db.default.svc.cluster.local', 'A 10.244.1.6'],
    ['A', 'db-2.db.default.svc.cluster.local', 'no such name'],
    ['A', 'x.web.default.svc.cluster.local', 'no such name'],
    ['A', 'web-0.web.default.svc.cluster.local', 'A 10.244.2.8'],
    ['A', '10-244-2-9.web.default.svc.cluster.local', 'A 10.244.2.9'],
    ['A', 'web-2.web.default.svc.cluster.local', 'no such name'],
    ['A', 'x.web-0.web.default.svc.cluster.local', 'no such name'],
    ['A', 'empty.default.svc.cluster.local', 'no such name'],
    ['SRV', '_http._tcp.web.default.svc.cluster.local', 'SRV 0 100 80 web.default.svc.cluster.local'],
    [
      'SRV',
      '_http._tcp.db.default.svc.cluster.local',
      'SRV 0 50 8080 10-244-1-6.db.default.svc.cluster.local, SRV 0 50 8080 db-0.db.default.svc.cluster.local',
    ],
    [
      'SRV',
      '_http._tcp.two.default.svc.cluster.local',
      'SRV 0 50 8080 two-0.two.default.svc.cluster.local, SRV 0 50 8080 two-1.two.default.svc.cluster.local',
    ],
    ['SRV', 'web.default.svc.cluster.local', 'SRV 0 100 80 web.default.svc.cluster.local'],
    [
      'SRV',
      'dns.default.svc.cluster.local',
      'SRV 0 50 53 dns.default.svc.cluster.local, SRV 0 50 9153 dns.default.svc.cluster.local',
    ],
    [
      'SRV',
      'two.default.svc.cluster.local',
      'SRV 0 50 8080 two-0.two.default.svc.cluster.local, SRV 0 50 8080 two-1.two.default.svc.cluster.local',
    ],
    ['SRV', 'two-0.two.default.svc.cluster.local', 'SRV 0 100 8080 two-0.two.default.svc.cluster.local'],
    ['SRV', 'web-0.web.default.svc.cluster.local', 'SRV 0 100 8080 web-0.web.default.svc.cluster.local'],
    ['SRV', 'empty.default.svc.cluster.local', 'no such name'],
    ['SRV', '_http._udp.web.default.svc.cluster.local', 'no such name'],
    ['SRV', '_dns._tcp.web.default.svc.cluster.local', 'no such name'],
    ['A', '_tcp.web.default.svc.cluster.local', 'no data'],
    ['A', 'out.default.svc.cluster.local', 'chase example.com'],
    ['A', 'address.default.svc.cluster.local', 'no such name'],
    ['CNAME', 'out.default.svc.cluster.local', 'CNAME example.com'],
    ['A', 'in.default.svc.cluster.local', 'CNAME web.default.svc.cluster.local, A 10.96.0.80'],
    ['A', 'missing.default.svc.cluster.local', 'no such name'],
    ['A', 'web.other.svc.cluster.local', 'no such name'],
    ['A', 'default.svc.cluster.local', 'no data'],
    ['A', 'other.svc.cluster.local', 'no such name'],
    ['A', 'bare.svc.cluster.local', 'no data'],
    ['A', 'web.bare.svc.cluster.local', 'no such name'],
    ['A', 'bare.pod.cluster.local', 'no data'],
    ['A', 'other.pod.cluster.local', 'no such name'],
    ['A', '10-244-0-5.other.pod.cluster.local', 'no such name'],
    ['A', 'svc.cluster.local', 'no data'],
    ['A', 'pod.cluster.local', 'no data'],
    ['A', '10-244-0-5.default.pod.cluster.local', 'A 10.244.0.5'],
    ['AAAA', 'fd00--5.default.pod.cluster.local', 'AAAA fd00::5'],
    ['A', 'nonsense.default.pod.cluster.local', 'no such name'],
    ['TXT', 'dns-version.cluster.local', 'TXT 1.1.0'],
    ['NS', 'cluster.local', 'NS ns.dns.cluster.local'],
    ['A', 'ns.dns.cluster.local', 'A 10.96.0.10'],
    ['AAAA', 'ns.dns.cluster.local', 'no data'],
    ['A', 'dns.cluster.local', 'no data'],
    ['A', 'x.dns.cluster.local', 'no such name'],
    ['A', 'x.ns.dns.cluster.local', 'no such name'],
    ['A', 'cluster.local', 'no data'],
    ['A', 'unknown.cluster.local', 'no such name'],
    ['PTR', '80.0.96.10.in-addr.arpa', 'PTR web.default.svc.cluster.local'],
    ['PTR', '5.0.244.10.in-addr.arpa', 'PTR db-0.db.default.svc.cluster.local'],
    ['PTR', '6.1.244.10.in-addr.arpa', 'PTR 10-244-1-6.db.default.svc.cluster.local'],
    ['PTR', '8.2.244.10.in-addr.arpa', 'PTR web-0.web.default.svc.cluster.local'],
    ['PTR', '9.2.244.10.in-addr.arpa', 'PTR 10-244-2-9.web.default.svc.cluster.local'],
    ['PTR', '10.2.244.10.in-addr.arpa', 'no such name'],
    ['PTR', '99.0.244.10.in-addr.arpa', 'no such name'],
    ['PTR', '8.8.8.8.in-addr.arpa', 'forward'],
    [
      'PTR',
      '0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa'.replace(/^0\.8/, '0.8'),
      'PTR web.default.svc.cluster.local',
    ],
    ['A', 'example.com', 'forward'],
    ['A', 'notcluster.local', 'forward'],
    ['A', '', 'forward'],
  ])('%s %s → %s', (type, name, want) => expect(ask(type, name)).toBe(want));

  test('ExternalNames that lead to each other end', () => {
    expect(ask('A', 'loop.default.svc.cluster.local')).toBe('CNAME loop.default.svc.cluster.local');
  });
});

function query(name: string, type: RecordType = 'A', extra: object = {}): Buffer {
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type }], ...extra });
}

const { signal } = new AbortController();
const byUdp = { transport: 'udp', address: undefined, signal } as const;

async function resolve(
  message: Buffer,
  transport: 'udp' | 'tcp' = 'udp',
  upstream?: Upstream,
): Promise<DecodedPacket> {
  const forwarder = upstream && createForwarder({ upstreamOf: () => upstream, clock: createFakeClock() });
  const reply = await createResolver({ ...options, view, forwarder })(message, { ...byUdp, transport });
  if (reply === undefined) throw new Error('no reply');
  return decode(reply);
}

const rcodeOf = (packet: DecodedPacket): unknown => (packet as { rcode?: unknown }).rcode;

const questionBytes = (name: string): number => `${name}.default.svc.cluster.local`.length + 2 + 4;

describe('resolver', () => {
  test('echoes the question, says that it knows, and answers EDNS with EDNS', async () => {
    const reply = await resolve(query('Web.default.svc.cluster.local', 'A', { additionals: [ednsOf()] }));
    expect(reply).toMatchObject({ id: 7, flag_aa: true, flag_rd: true, flag_ra: false, flag_tc: false });
    expect(reply.questions?.[0]?.name).toBe('Web.default.svc.cluster.local');
    expect(reply.additionals?.map((record) => record.type)).toEqual(['OPT']);
  });

  test.each([
    ['a name that is not there', query('missing.default.svc.cluster.local'), 'NXDOMAIN'],
    ['a name without such records', query('web.default.svc.cluster.local', 'MX'), 'NOERROR'],
    ['a name elsewhere, with nobody to ask', query('example.com'), 'REFUSED'],
    ['a zone transfer', query('cluster.local', 'AXFR'), 'REFUSED'],
    ['another class', query('x', 'A', { questions: [{ name: 'x', type: 'A', class: 'CH' }] }), 'REFUSED'],
    [
      'two questions',
      query('x', 'A', {
        questions: [
          { name: 'x', type: 'A' },
          { name: 'y', type: 'A' },
        ],
      }),
      'FORMERR',
    ],
    ['a truncated question', query('web.default.svc.cluster.local').subarray(0, 20), 'FORMERR'],
    ['an update', Buffer.concat([Buffer.from([0, 7, 0x28, 0]), Buffer.alloc(8)]), 'NOTIMP'],
  ])('%s', async (_name, message, want) => {
    const reply = await resolve(message);
    expect(rcodeOf(reply)).toBe(want);
    expect(reply.answers).toEqual([]);
    if (want === 'NXDOMAIN' || want === 'NOERROR') expect(reply.authorities?.[0]?.type).toBe('SOA');
  });

  test('EDNS of a version that is not there is said to be so, and two of it are none', async () => {
    const newer = await resolve(
      query('web.default.svc.cluster.local', 'A', { additionals: [{ ...ednsOf(), ednsVersion: 1 }] }),
    );
    const [opt] = newer.additionals ?? [];
    expect([newer.answers, opt]).toMatchObject([[], { type: 'OPT', ednsVersion: 0, extendedRcode: 1 }]);
    expect(rcodeOf(newer)).toBe('NOERROR'); // The lower four bits of BADVERS.
    const twice = query('web.default.svc.cluster.local', 'A', { additionals: [ednsOf(), ednsOf()] });
    expect(rcodeOf(await resolve(twice))).toBe('FORMERR');
  });

  test('of an answer from elsewhere what fits is there, too', async () => {
    const upstream: Upstream = {
      servers: () => ['192.0.2.53'],
      ask: async (message) => {
        const { questions = [] } = decode(message);
        const answers = Array.from({ length: 60 }, (_, at) =>
          questions.map(({ name }) => ({ type: 'A', name, ttl: 60, data: `192.0.2.${at}` })),
        );
        return encode({ type: 'response', questions, answers: answers.flat() } as never);
      },
    };
    const udp = await resolve(query('example.com'), 'udp', upstream);
    expect([udp.flag_tc, udp.answers?.length]).toEqual([true, Math.floor((512 - 12 - 17) / 27)]);
    expect((await resolve(query('example.com'), 'tcp', upstream)).answers).toHaveLength(60);
  });

  test('addresses behind an ExternalName have turns, as those of a Service do', async () => {
    const resolver = createResolver({ ...options, view, forwarder: undefined });
    const firsts = new Set<string>();
    for (let turn = 0; turn < 4; turn++) {
      const reply = await resolver(query('alias.default.svc.cluster.local'), byUdp);
      const [cname, first] = decode(reply ?? Buffer.alloc(0)).answers ?? [];
      expect(cname?.type).toBe('CNAME');
      firsts.add(JSON.stringify(first));
    }
    expect(firsts.size).toBe(2);
  });

  test('a long answer is cut over UDP, not over TCP', async () => {
    const many = Array.from({ length: 60 }, (_, i) => ({
      addresses: [`10.244.2.${i}`],
      conditions: { ready: true },
    }));
    services.apply({
      type: 'ADDED',
      object: {
        ...service('many', { clusterIP: 'None' }),
        metadata: { namespace: 'default', name: 'many', uid: 'm', resourceVersion: '6' },
      },
    });
    slices.apply({
      type: 'ADDED',
      object: { ...slice('many', many), metadata: { ...slice('many', []).metadata, resourceVersion: '6' } },
    });
    const udp = await resolve(query('many.default.svc.cluster.local'));
    expect(udp.flag_tc).toBe(true);
    // What fits is there, for clients that never come by TCP (musl before 1.2.4); a name is spelled out once.
    expect(udp.answers).toHaveLength(Math.floor((512 - 12 - questionBytes('many')) / 16));
    const edns = await resolve(query('many.default.svc.cluster.local', 'A', { additionals: [ednsOf()] }));
    expect([edns.flag_tc, edns.answers?.length]).toEqual([false, 60]);
    expect(edns.additionals?.map((record) => record.type)).toEqual(['OPT']);
    const tcp = await resolve(query('many.default.svc.cluster.local'), 'tcp');
    expect(tcp.flag_tc).toBe(false);
    expect(tcp.answers).toHaveLength(60);
  });

  test('other names go to the upstream with the id of the client, and a CNAME is followed there', async () => {
    const upstream: Upstream = {
      servers: () => ['192.0.2.53'],
      ask: async (message) => {
        const { questions = [] } = decode(message);
        const answers = questions.map(({ name }) => ({ type: 'A', name, ttl: 60, data: '192.0.2.1' }));
        return encode({ type: 'response', questions, answers } as never);
      },
    };
    const reply = await resolve(query('example.com'), 'udp', upstream);
    expect(reply).toMatchObject({ id: 7, answers: [{ name: 'example.com', data: '192.0.2.1' }] });
    const chased = await resolve(query('out.default.svc.cluster.local'), 'udp', upstream);
    expect(chased.answers?.map((record) => record.type)).toEqual(['CNAME', 'A']);
  });

  test('an upstream that does not answer is SERVFAIL', async () => {
    const upstream: Upstream = {
      servers: () => ['192.0.2.53'],
      ask: () => Promise.reject(new Error('timeout')),
    };
    expect(rcodeOf(await resolve(query('example.com'), 'udp', upstream))).toBe('SERVFAIL');
  });

  test('any bytes get an answer or none, and never an exception', async () => {
    const resolver = createResolver({ ...options, view, forwarder: undefined });
    const whole = query('_http._tcp.web.default.svc.cluster.local', 'SRV');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), fc.nat(whole.length), async (noise, cut) => {
        for (const bytes of [Buffer.from(noise), Buffer.concat([whole.subarray(0, cut), noise])]) {
          const reply = await resolver(bytes, byUdp);
          if (reply !== undefined) expect(reply.length).toBeLessThanOrEqual(1232);
        }
      }),
      { numRuns: 500 },
    );
  });

  const inDefault = ['default', 'svc', 'cluster', 'local'].map((label) => Buffer.from(label));
  test.each<{ name: string; labels: readonly Buffer[]; type: number; code: number }>([
    { name: 'bytes that are no text', labels: [Buffer.alloc(48, 0x80), ...inDefault], type: 1, code: 3 },
    {
      name: 'a dot in a label',
      labels: [Buffer.from('web.default'), ...inDefault.slice(1)],
      type: 1,
      code: 3,
    },
    { name: 'capitals', labels: [Buffer.from('WEB'), ...inDefault], type: 1, code: 0 },
    { name: 'a type without a name', labels: [Buffer.from('web'), ...inDefault], type: 65_000, code: 0 },
  ])('a question is echoed byte for byte: $name', async ({ labels, type, code }) => {
    const name = labels.flatMap((label) => [Buffer.of(label.length), label]);
    const question = Buffer.concat([...name, Buffer.of(0, type >> 8, type & 0xff, 0, 1)]);
    const head = Buffer.from('abcd01000001000000000000', 'hex');
    const resolver = createResolver({ ...options, view, forwarder: undefined });
    const reply = (await resolver(Buffer.concat([head, question]), byUdp)) ?? head;
    expect(reply.subarray(12, 12 + question.length)).toEqual(question);
    expect([reply.readUInt16BE(4), reply.readUInt16BE(2) & 0xf]).toEqual([1, code]);
    expect(decode(reply).questions).toHaveLength(1);
  });

  test('a question whose name points elsewhere is none', () => {
    const message = Buffer.from('abcd01000001000000000000c00200010001', 'hex');
    expect(parseQuery(message)).toMatchObject({ refusal: 1, question: undefined });
  });

  test('a reply is not answered, so that two servers cannot talk to each other for ever', () => {
    expect(parseQuery(encode({ type: 'response', id: 1, questions: [] }))).toBeUndefined();
  });

  test('a name that points to itself ends', async () => {
    const message = Buffer.concat([query('a').subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
    expect(rcodeOf(await resolve(message))).toBe('FORMERR');
  });
});

describe('a connection whose client asks and does not read', () => {
  test('is asked no more once its answers wait', async () => {
    const asked: true[] = [];
    const server = createServer((socket) =>
      serveConnection(socket, async () => {
        asked.push(true);
        return Buffer.alloc(60_000);
      }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    client.pause();
    client.on('error', () => undefined);
    const message = query('web.default.svc.cluster.local');
    const framed = Buffer.concat([Buffer.from([0, message.length]), message]);
    // 1.2 GB of answers; the kernel's own buffers take a few megabytes of them.
    client.write(Buffer.concat(Array.from({ length: 20_000 }, () => framed)));
    let before = -1;
    while (asked.length === 0 || asked.length !== before) {
      before = asked.length;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(asked.length).toBeLessThan(1000);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe.skipIf(process.getuid?.() !== 0)('DNS server in a namespace (needs root)', () => {
  test('listens on the Service address of lo by UDP and TCP', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    const server = await startDns({
      services,
      endpointSlices: slices,
      netlink: createSyncNetlink(),
      clock: systemClock,
      log: silentLogger,
      addresses: ['10.96.0.10', 'fd00:10:96::a'],
      zone: 'cluster.local',
      networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
      upstreams: () => [],
      configMaps: createInformerCache<ConfigMap>(throwIt),
      searchesOf: () => [],
      counts: new DnsCounts(),
    });
    const udp = createSocket('udp4');
    udp.send(query('web.default.svc.cluster.local'), 53, '10.96.0.10');
    const [reply] = (await once(udp, 'message')) as [Buffer];
    udp.close();
    expect(decode(reply).answers).toMatchObject([{ data: '10.96.0.80' }]);

    const tcp = connect(53, '10.96.0.10');
    const message = query('db.default.svc.cluster.local');
    const framed = Buffer.concat([Buffer.from([0, message.length]), message]);
    // Two questions in three pieces.
    for (const piece of [framed.subarray(0, 1), framed.subarray(1), framed]) tcp.write(piece);
    let received = Buffer.alloc(0);
    for await (const data of tcp as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, data]);
      const first = received.length < 2 ? Infinity : received.readUInt16BE(0) + 2;
      if (received.length >= first * 2) break;
    }
    const length = received.readUInt16BE(0);
    expect(decode(received.subarray(2, 2 + length)).answers).toHaveLength(2);
    expect(decode(received.subarray(4 + length)).answers).toHaveLength(2);
    await server[Symbol.asyncDispose]();
  });
});
