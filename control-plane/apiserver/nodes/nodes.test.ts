import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { text } from 'node:stream/consumers';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { once } from 'node:events';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { chooseContainer, kubeletPath } from './pod-container.ts';
import { splitProxyName } from './target.ts';

const ns = '/api/v1/namespaces/default';

/** A kubelet of which only the door is real: it says who came, and echoes what an upgraded connection sends. */
function startKubelet(
  credentials: {
    readonly caCertPem: string;
    readonly serving: { readonly certPem: string; readonly keyPem: string };
  },
  seen: IncomingMessage[],
): Server {
  const { caCertPem: ca, serving } = credentials;
  const server = createServer({
    ca,
    cert: serving.certPem,
    key: serving.keyPem,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.on('request', (request, response) => {
    seen.push(request);
    const coding = /^\/page\/(.*)/.exec(request.url ?? '')?.[1];
    if (coding !== undefined) {
      const page = Buffer.from('<a href="/x">x</a>');
      const coders = new Map([
        ['gzip', gzipSync],
        ['deflate', deflateSync],
        ['br', brotliCompressSync],
      ]);
      const coded = coders.get(coding)?.(page) ?? page;
      const headers = { location: '/next?x', 'content-type': 'text/html; charset=utf-8' };
      response
        .writeHead(302, { ...headers, ...(coding === '' ? {} : { 'content-encoding': coding }) })
        .end(coded);
    } else if (request.url?.startsWith('/containerLogs/default/p/waiting') === true) {
      response.writeHead(400).end('container "waiting" in pod "p" is waiting to start: ContainerCreating');
    } else if (request.url === '/count') {
      let count = 0;
      request
        .on('data', (chunk: Buffer) => (count += chunk.length))
        .on('end', () => response.end(`${count}`));
    } else response.end(`${request.method} ${request.url}`);
  });
  server.on('upgrade', (request, socket, head) => {
    seen.push(request);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
  return server;
}

describe('requests that go on to a node', () => {
  let test: TestServer;
  let kubelet: Server;
  let admin: tls.ConnectionOptions;
  const seen: IncomingMessage[] = [];

  beforeAll(async () => {
    test = await startTestServer({ mayDial: () => true });
    const serverUrl = `https://127.0.0.1:${test.server.ports[0]}`;
    kubelet = startKubelet(
      await test.server.issueNodeCredentials('n1', { serverUrl, hosts: ['127.0.0.1'] }),
      seen,
    );
    kubelet.listen(0, '127.0.0.1');
    await once(kubelet, 'listening');
    const address = kubelet.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const access = parseKubeconfig(test.server.adminKubeconfig(serverUrl), { directory: '/' });
    const inline = (source: typeof access.ca): string => (source.kind === 'inline' ? source.text : '');
    admin = {
      host: '127.0.0.1',
      port: test.server.ports[0],
      ca: inline(access.ca),
      cert: inline(access.clientCert),
      key: inline(access.clientKey),
      ALPNProtocols: ['http/1.1'],
    };
    await test.make('/api/v1/nodes', {
      metadata: { name: 'n1' },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
      },
    });
    await test.make('/api/v1/nodes', { metadata: { name: 'bare' } });
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
    const containers = (names: readonly string[]): object[] => names.map((name) => ({ name, image: 'i' }));
    await test.make(`${ns}/pods`, {
      metadata: { name: 'p' },
      spec: { nodeName: 'n1', containers: containers(['c', 'waiting']) },
    });
    await test.make(`${ns}/pods`, {
      metadata: { name: 'lost' },
      spec: { nodeName: 'bare', containers: containers(['c']) },
    });
    const deaf = { metadata: { name: 'deaf' }, spec: { nodeName: 'n1', containers: containers(['c']) } };
    const made = await test.make(`${ns}/pods`, deaf);
    await test.call('PUT', `${ns}/pods/deaf/status`, {
      body: { ...made, status: { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] } },
    });
    await test.make(`${ns}/pods`, { metadata: { name: 'free' }, spec: { containers: containers(['c']) } });
  });
  afterAll(async () => {
    kubelet.closeAllConnections();
    kubelet.close();
    await test[Symbol.asyncDispose]();
  });

  it('passes a log on, with what the kubelet understands of the query', async () => {
    const { text, headers } = await test.call(
      'GET',
      `${ns}/pods/p/log?container=c&follow=true&tailLines=5&foo=1`,
    );
    expect(text).toBe('GET /containerLogs/default/p/c?follow=true&tailLines=5');
    expect(headers['content-type']).toBe('text/plain');
  });

  it.each([
    ['free/log', 204, ''],
    ['p/log', 400, 'a container name must be specified for pod p, choose one of: [c waiting]'],
    ['p/log?container=zz', 400, 'container zz is not valid for pod p'],
    ['p/log?tailLines=abc', 400, 'strconv.ParseInt: parsing "abc": invalid syntax'],
    [
      'p/log?tailLines=-1&limitBytes=0&sinceSeconds=-1&sinceTime=2026-01-01T00:00:00Z',
      422,
      'PodLogOptions "p" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: Invalid value: 0: must be greater than 0, []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified]',
    ],
    [
      'p/log?sinceSeconds=0&tailLines=1&stream=Foo',
      422,
      'PodLogOptions "p" is invalid: [sinceSeconds: Invalid value: 0: must be greater than 0, stream: Unsupported value: "Foo": supported values: "All", "Stderr", "Stdout", []: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now]',
    ],
    [
      'p/log?sinceTime=foo',
      400,
      'parsing time "foo" as "2006-01-02T15:04:05Z07:00": cannot parse "foo" as "2006"',
    ],
    ['p/log?container=waiting', 400, 'container "waiting" in pod "p" is waiting to start: ContainerCreating'],
    ['lost/log', 500, 'no preferred addresses found; known addresses: []'],
    ['free/exec?command=ls', 400, 'pod free does not have a host assigned'],
    ['nope/log', 404, 'pods "nope" not found'],
    [
      'deaf:1/proxy/',
      503,
      'error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused',
    ],
  ])('answers %s with %i', async (path, status, message) => {
    const answer = await test.call('GET', `${ns}/pods/${path}`);
    expect(answer.status).toBe(status);
    if (message !== '') expect(answer.json['message']).toEqual(message);
  });

  it('asks once more by a fresh connection when a kept one was closed meanwhile', async () => {
    const log = (): Promise<{ readonly status: number }> => test.call('GET', `${ns}/pods/p/log?container=c`);
    await log();
    // The next request that comes by a kept connection finds it closed by the kubelet.
    const answer = kubelet.listeners('request')[0];
    kubelet.removeAllListeners('request');
    kubelet.once('request', (request: IncomingMessage) => {
      kubelet.on('request', answer as () => void);
      request.socket.destroy();
    });
    expect(await log()).toMatchObject({ status: 200 });
  });

  it('counts upgrades in the metrics, with those that are refused', async () => {
    const upgrade = async (path: string): Promise<void> => {
      const socket = tls.connect(admin);
      socket.on('error', () => undefined);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`);
      await once(socket, 'data');
      socket.destroy();
    };
    await upgrade(`${ns}/pods/p/exec?command=ls&container=c`);
    await upgrade(`${ns}/pods/nope/exec?command=ls`);
    const { text } = await test.call('GET', '/metrics');
    const counted = (code: number): RegExp =>
      new RegExp(`apiserver_request_total\\{(?=[^}]*code="${code}")[^}]*verb="(?:connect|CONNECT)"`);
    expect(text).toMatch(counted(101));
    expect(text).toMatch(counted(404));
  });

  it('passes nodes/proxy on to the kubelet as the API server', async () => {
    const { text } = await test.call('GET', '/api/v1/nodes/n1/proxy/stats/summary?only=cpu');
    expect(text).toBe('GET /stats/summary?only=cpu');
    const socket = seen.at(-1)?.socket;
    expect(socket instanceof tls.TLSSocket ? socket.getPeerCertificate().subject.CN : '').toBe(
      'kube-apiserver-kubelet-client',
    );
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'passes %s on through a proxy',
    async (method) => {
      const { status, text } = await test.call(method, '/api/v1/nodes/n1/proxy/x');
      expect([status, text]).toEqual([200, `${method} /x`]);
      if (method === 'OPTIONS') expect((await test.call(method, `${ns}/pods`)).status).toBe(405);
    },
  );

  it.each(['', 'gzip', 'deflate', 'br'])(
    'has links and redirects of a page lead through the proxy: "%s"',
    async (coding) => {
      const prefix = '/api/v1/nodes/n1/proxy';
      const { status, text, headers } = await test.call('GET', `${prefix}/page/${coding}`);
      expect(status).toBe(302);
      expect(headers['location']).toBe(`${prefix}/next?x`);
      if (coding === 'br') expect(headers['content-encoding']).toBe('br');
      else expect(text).toBe(`<a href="${prefix}/x">x</a>`);
    },
  );

  it('passes the query of a proxied request on as it came', async () => {
    const path = '/a%2Fb//c?x=%20&flag&y=a+b';
    const { text } = await test.call('GET', `/api/v1/nodes/n1/proxy${path}`);
    expect(text).toBe(`GET ${path}`);
  });

  it('has the root of what is proxied end in a slash', async () => {
    const path = '/api/v1/nodes/n1/proxy';
    const { status, headers } = await test.call('GET', `${path}?x=%20`);
    expect([status, headers['location']]).toEqual([301, `${path}/?x=%20`]);
    expect((await test.call('POST', path)).text).toBe('POST /');
  });

  /** Over the network, by HTTP/1.1. */
  const ask = async (path: string, options: RequestOptions, body?: Buffer): Promise<string> => {
    const request = httpsRequest({ ...admin, path, ...options });
    request.end(body);
    const [response] = await once(request, 'response');
    return text(response);
  };

  it('says for whom and by which path a request is proxied', async () => {
    await ask('/api/v1/nodes/n1/proxy/x', { headers: { 'x-forwarded-for': '192.0.2.7' } });
    expect(seen.at(-1)?.headers).toMatchObject({
      host: `127.0.0.1:${test.server.ports[0]}`,
      'x-forwarded-for': expect.stringMatching(/^192\.0\.2\.7, (::ffff:)?127\.0\.0\.1$/),
      'x-forwarded-uri': '/api/v1/nodes/n1/proxy/x',
    });
  });

  it.each([
    ['POST', 10, {}],
    ['PUT', 5_000_000, { 'content-length': 5_000_000 }],
    ['POST', 5_000_000, { 'transfer-encoding': 'chunked' }],
    ['GET', 7, { 'content-length': 7 }],
  ])('passes %s with a body of %i bytes on: %j', async (method, size, headers) => {
    const path = '/api/v1/nodes/n1/proxy/count';
    expect(await ask(path, { method, headers }, Buffer.alloc(size))).toBe(`${size}`);
    const body = Buffer.alloc(size);
    if (method !== 'GET') expect((await test.call(method, path, { body })).text).toBe(`${size}`);
  });

  const spdy = ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io'];
  const upgrade = async (
    path: string,
    { method = 'POST', headers = spdy }: { method?: string; headers?: readonly string[] } = {},
  ): Promise<tls.TLSSocket> => {
    const socket = tls.connect(admin);
    await once(socket, 'secureConnect');
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', ...headers];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    return socket;
  };
  const readUntil = async (socket: tls.TLSSocket, mark: string): Promise<string> => {
    let text = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (text.includes(mark)) break;
    }
    return text;
  };

  it('hands an upgraded connection to the kubelet as it is', async () => {
    const query = 'command=sh&command=-c&container=c&stdin=true&stdout=true&tty=true';
    const socket = await upgrade(`${ns}/pods/p/exec?${query}`, {
      headers: [...spdy, 'Authorization: Bearer secret'],
    });
    const answer = await readUntil(socket, '\r\n\r\n');
    expect(answer).toContain('101 Switching Protocols');
    expect(seen.at(-1)?.url).toBe('/exec/default/p/c?command=sh&command=-c&input=1&output=1&tty=1');
    expect(seen.at(-1)?.headers).toMatchObject({
      upgrade: 'SPDY/3.1',
      'x-stream-protocol-version': 'v4.channel.k8s.io',
    });
    expect(seen.at(-1)?.headers['authorization']).toBeUndefined();
    socket.write('raw bytes');
    expect(await readUntil(socket, 'raw bytes')).toBe('raw bytes');
    socket.destroy();
  });

  it.each([
    [[], ''],
    [['binary.k8s.io'], 'binary.k8s.io'],
    [['x.k8s.io', 'base64.binary.k8s.io'], 'base64.binary.k8s.io'],
  ])('sends a log over a WebSocket with protocols %j', async (protocols, chosen) => {
    const { ca, cert, key, port } = admin;
    const path = `${ns}/pods/p/log?container=c&follow=true`;
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, { ca, cert, key });
    const messages: string[] = [];
    socket.on('message', (data, isBinary) => void messages.push(`${isBinary ? 'bytes' : 'text'} ${data}`));
    const [code] = await once(socket, 'close');
    const log = 'GET /containerLogs/default/p/c?follow=true';
    expect([code, socket.protocol, messages]).toEqual([
      1000,
      chosen,
      [chosen.startsWith('base64') ? `text ${Buffer.from(log).toString('base64')}` : `bytes ${log}`],
    ]);
  });

  it('refuses a log over a WebSocket as it refuses it without', async () => {
    const path = `${ns}/pods/p/log?container=waiting`;
    const key = Buffer.alloc(16).toString('base64');
    const headers = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`];
    const socket = await upgrade(path, { method: 'GET', headers });
    expect(await readUntil(socket, '"code":400}')).toContain('is waiting to start: ContainerCreating');
    socket.destroy();
  });

  it('refuses before the upgrade with a Status', async () => {
    const socket = await upgrade(`${ns}/pods/nope/exec?command=sh`);
    const answer = await readUntil(socket, '"code":404}');
    expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\nContent-Type: application\/json\r\n/);
    socket.destroy();
  });
});

describe('kubeletPath()', () => {
  const target = { namespace: 'n', pod: 'p', container: 'c' };

  it.each([
    [
      'exec',
      'command=a+b&command=c&stdin=1&stdout=true&stderr=false',
      '/exec/n/p/c?command=a+b&command=c&input=1&output=1',
    ],
    ['attach', 'stdout=true&stderr=true', '/attach/n/p/c?output=1&error=1'],
    ['portforward', 'ports=80&ports=81', '/portForward/n/p?port=80&port=81'],
    ['portforward', '', '/portForward/n/p'],
    ['log', 'previous=true&limitBytes=9&pretty=true', '/containerLogs/n/p/c?previous=true&limitBytes=9'],
    [
      'log',
      'follow&previous=&timestamps=T&tailLines=',
      '/containerLogs/n/p/c?follow=true&previous=true&timestamps=true',
    ],
    ['log', 'follow=False&previous=0', '/containerLogs/n/p/c'],
  ] as const)('renders %s?%s', (action, query, want) => {
    expect(kubeletPath(action, target, new URLSearchParams(query))).toBe(want);
  });
});

describe('chooseContainer()', () => {
  it('takes the only one, and finds init and ephemeral ones by name', () => {
    const pod = {
      metadata: { name: 'p' },
      spec: {
        containers: [{ name: 'c' }],
        initContainers: [{ name: 'i' }],
        ephemeralContainers: [{ name: 'e' }],
      },
    };
    expect(['', 'i', 'e', 'c'].map((asked) => chooseContainer(pod, asked))).toEqual(['c', 'i', 'e', 'c']);
  });

  it('names init containers when it has to ask', () => {
    const pod = {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }] },
    };
    expect(() => chooseContainer(pod, '')).toThrow(
      'a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]',
    );
  });
});

describe('splitProxyName()', () => {
  it.each([
    ['web', { scheme: 'http', name: 'web', port: '' }],
    ['web:80', { scheme: 'http', name: 'web', port: '80' }],
    ['https:web:443', { scheme: 'https', name: 'web', port: '443' }],
    ['http:web:', { scheme: 'http', name: 'web', port: '' }],
  ])('reads %s', (text, want) => {
    expect(splitProxyName(text)).toEqual(want);
  });
});
