import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createFakeClock } from '#base/clock.ts';
import { startTestServer, type TestServer } from '#agent/kubelet/server/test-server.fixture.ts';
import { defaultAccess, type AccessOptions } from './access.ts';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

type Who = 'admin' | 'nobody' | 'foreign' | 'none';

interface Row {
  readonly name: string;
  readonly who?: Who;
  readonly token?: string;
  readonly method?: string;
  readonly path: string;
  readonly isDown?: boolean;
  readonly access?: Partial<AccessOptions>;
  readonly want: { readonly status: number; readonly body?: string };
  /** What the API server was asked, in order. */
  readonly asked?: readonly string[];
}

const prometheus = 'system:serviceaccount:monitoring:prometheus';
const rows: readonly Row[] = [
  {
    ...{ name: 'the API server, by certificate', who: 'admin', path: '/healthz' },
    want: { status: 200, body: 'ok' },
    asked: ['kube-apiserver-kubelet-client get nodes/n/healthz'],
  },
  { name: 'nobody', path: '/healthz', want: { status: 401, body: 'Unauthorized' }, asked: [] },
  {
    ...{ name: 'a certificate of another authority', who: 'foreign', path: '/healthz' },
    want: { status: 401, body: 'Unauthorized' },
    asked: [],
  },
  {
    ...{ name: 'another node', who: 'nobody', path: '/pods' },
    want: {
      status: 403,
      body: 'Forbidden (user=system:node:other, verb=get, resource=nodes, subresource(s)=[pods proxy])\n',
    },
    asked: ['system:node:other get nodes/n/pods', 'system:node:other get nodes/n/proxy'],
  },
  {
    ...{ name: 'another node that asks how far the rules are', who: 'nobody' },
    path: '/endpointslices/applied?revision=7&waitMs=0',
    want: { status: 200, body: '{"applied":7}' },
    asked: [],
  },
  {
    ...{ name: 'another node that asks so by another method', who: 'nobody', method: 'POST' },
    ...{ path: '/endpointslices/applied?revision=7&waitMs=0', want: { status: 403 } },
  },
  {
    ...{ name: 'a token that asks how far the rules are', token: 't1', path: '/endpointslices/applied' },
    want: { status: 403 },
  },
  {
    ...{ name: 'a token that asks what the node sees', token: 't1', path: '/networkfacts' },
    want: { status: 403 },
  },
  {
    ...{ name: 'a token that may read metrics', token: 't1', path: '/metrics' },
    want: { status: 200 },
    asked: ['who is t1', `${prometheus} get nodes/n/metrics`],
  },
  {
    ...{ name: 'the same, of something else', token: 't1', method: 'POST', path: '/exec/default/web/main' },
    want: {
      status: 403,
      body: `Forbidden (user=${prometheus}, verb=create, resource=nodes, subresource(s)=[proxy])\n`,
    },
  },
  {
    ...{ name: 'a token of nobody', token: 't2', path: '/metrics' },
    want: { status: 401, body: 'Unauthorized' },
    asked: ['who is t2'],
  },
  {
    ...{ name: 'a token beside a certificate of the cluster', who: 'admin', token: 't2', path: '/metrics' },
    want: { status: 200 },
    asked: ['kube-apiserver-kubelet-client get nodes/n/metrics'],
  },
  {
    ...{ name: 'a token beside a certificate of others', who: 'foreign', token: 't1', path: '/metrics' },
    want: { status: 200 },
  },
  {
    ...{ name: 'a token while the API server is down', token: 't1', path: '/metrics', isDown: true },
    want: { status: 401, body: 'Unauthorized' },
  },
  {
    ...{ name: 'a certificate while it is down', who: 'admin', path: '/metrics', isDown: true },
    want: {
      status: 500,
      body: 'Authorization error (user=kube-apiserver-kubelet-client, verb=get, resource=nodes, subresource=metrics)',
    },
  },
  {
    ...{ name: 'anonymous, where it is one', path: '/healthz', access: { anonymous: true } },
    want: {
      status: 403,
      body: 'Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n',
    },
  },
  {
    ...{ name: 'anonymous with a bad token', token: 't2', path: '/healthz', access: { anonymous: true } },
    want: { status: 401, body: 'Unauthorized' },
  },
  {
    ...{ name: 'anybody who is known', who: 'nobody', path: '/pods', access: { mode: 'AlwaysAllow' } },
    want: { status: 200 },
    asked: [],
  },
  {
    ...{ name: 'nobody, where all may', path: '/pods', access: { mode: 'AlwaysAllow' } },
    want: { status: 401 },
  },
  {
    ...{ name: 'a token, where none are reviewed', token: 't1', path: '/metrics' },
    ...{ access: { tokenWebhook: false }, want: { status: 401, body: 'Unauthorized' }, asked: [] },
  },
];

describe.skipIf(!hasOpenssl())('createAccess() (needs openssl for its certificates)', () => {
  const clock = createFakeClock(Date.now());
  let foreign: TestServer;
  const nodes = new Map<string, TestServer>();
  let node: TestServer;
  const nodeOf = async (access: Partial<AccessOptions> = {}): Promise<TestServer> => {
    const key = JSON.stringify(access);
    const one = nodes.get(key) ?? (await startTestServer({ access: { ...defaultAccess, ...access }, clock }));
    nodes.set(key, one);
    return one;
  };
  beforeAll(async () => {
    [node, foreign] = [await nodeOf(), await startTestServer()];
  });
  afterAll(() => Promise.all([...nodes.values(), foreign].map((one) => one[Symbol.asyncDispose]())));
  beforeEach(() => clock.advance(600_000)); // Nothing is remembered.

  const sent = (one: TestServer, who: Who, token?: string) => ({
    ...{ host: '127.0.0.1', port: one.server.port, ca: one.pki.ca, agent: false as const },
    ...(who === 'none' ? {} : who === 'foreign' ? foreign.pki.admin : one.pki[who]),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const ask = async (
    one: TestServer,
    { who = 'none', token, method = 'GET', path }: Omit<Row, 'name' | 'want'>,
  ) => {
    const request = https.request({ ...sent(one, who, token), method, path });
    request.end();
    const answered = once(request, 'response');
    while (one.reviews.isDown && !(await Promise.race([answered.then(() => true), tick()])))
      clock.advance(500);
    const [response] = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, body: Buffer.concat(chunks).toString() };
  };
  const tick = () => new Promise<false>((resolve) => void setTimeout(resolve, 5, false));

  it.each(rows)('$name: $want.status', async ({ access, isDown = false, want, asked, ...row }) => {
    const one = await nodeOf(access);
    one.reviews.asked.length = 0;
    one.reviews.isDown = isDown;
    try {
      expect(await ask(one, row)).toMatchObject(want);
    } finally {
      one.reviews.isDown = false;
    }
    if (asked !== undefined) expect(one.reviews.asked).toEqual(asked);
  });

  it('remembers who a token is for 2 min, what they may for 5 min, and what they may not for 30 s', async () => {
    const { reviews } = node;
    reviews.asked.length = 0;
    const again = async (path: string, seconds: number): Promise<number> => {
      clock.advance(seconds * 1000);
      const before = reviews.asked.length;
      await ask(node, { token: 't1', path });
      return reviews.asked.length - before;
    };
    expect(await again('/metrics', 0)).toBe(2);
    expect(await again('/metrics', 119)).toBe(0);
    expect(await again('/metrics', 2)).toBe(1);
    expect(await again('/stats/summary', 0)).toBe(1);
    expect(await again('/stats/summary', 29)).toBe(0);
    expect(await again('/stats/summary', 2)).toBe(1);
    reviews.isDown = true;
    try {
      expect(await ask(node, { token: 't1', path: '/metrics' })).toMatchObject({ status: 200 });
    } finally {
      reviews.isDown = false;
    }
  });

  it('asks once for those who come at once', async () => {
    node.reviews.asked.length = 0;
    const all = await Promise.all(
      Array.from({ length: 20 }, () => ask(node, { token: 't1', path: '/metrics' })),
    );
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    expect(node.reviews.asked).toHaveLength(2);
  });

  it.each([
    ['admin', undefined, 'open'],
    ['nobody', undefined, 403],
    ['none', undefined, 401],
    ['none', 't1', 403],
  ] as const)('judges upgrades: %s with token %s: %s', async (who, token, want) => {
    const url = `wss://127.0.0.1:${node.server.port}/exec/default/web/main?command=true&output=1`;
    const socket = new WebSocket(url, ['v5.channel.k8s.io'], sent(node, who, token));
    socket.on('error', () => undefined);
    const result = await Promise.race([
      once(socket, 'open').then(() => 'open' as const),
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number),
    ]);
    socket.terminate();
    expect(result).toBe(want);
  });

  it('takes a token from the protocols of a WebSocket', async () => {
    node.reviews.asked.length = 0;
    const url = `wss://127.0.0.1:${node.server.port}/exec/default/web/main?command=true&output=1`;
    const token = `base64url.bearer.authorization.k8s.io.${Buffer.from('t1').toString('base64url')}`;
    const socket = new WebSocket(url, ['v5.channel.k8s.io', token], sent(node, 'none'));
    socket.on('error', () => undefined);
    const [, response] = await once(socket, 'unexpected-response');
    socket.terminate();
    expect(response.statusCode).toBe(403);
    expect(node.reviews.asked).toEqual(['who is t1', `${prometheus} get nodes/n/proxy`]);
  });
});
