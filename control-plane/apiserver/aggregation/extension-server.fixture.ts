import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { JsonObject } from '#api/meta/object.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';

/** A request that the extension server got. */
export interface ExtensionCall {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Whose certificate was shown, of the authority that it believes; '' for nobody's. */
  readonly shownBy: string;
  readonly body: string;
}

/** An API server of somebody else: group wardle.example.com, version v1, with one kind. */
export interface ExtensionServer extends AsyncDisposable {
  readonly port: number;
  readonly caBundle: string;
  readonly calls: readonly ExtensionCall[];
  /** Whom it believes who asks, by the ConfigMap of its cluster. */
  believe(proxyCaPem: string): void;
  isDown: boolean;
  clear(): void;
}

const flunders = [
  {
    ...{ name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder' },
    ...{ verbs: ['get', 'list', 'watch', 'create'], shortNames: ['fl'] },
  },
  { name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
];
const item = {
  apiVersion: 'wardle.example.com/v1',
  kind: 'Flunder',
  metadata: { name: 'f', namespace: 'n' },
};
const root = '/apis/wardle.example.com/v1';

/** @param more what it answers at other paths; undefined: that there is nothing */
export async function startExtensionServer(
  host = 'ext.wardle.svc',
  more: (path: string) => JsonObject | undefined = () => undefined,
): Promise<ExtensionServer> {
  const nowMs = Date.now();
  const authority = await createAuthority('extension', nowMs);
  const serving = await issueCertificate(authority, {
    commonName: 'x',
    hosts: [host],
    usages: ['server'],
    nowMs,
  });
  const calls: ExtensionCall[] = [];
  const sockets = new Set<Socket>();
  const state = { isDown: false };
  const tls = { cert: serving.certPem, key: serving.keyPem, requestCert: true, rejectUnauthorized: false };
  const server: Server = createServer(tls, (request, response) => void answer(request, response));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    calls.push({ ...callOf(request), body });
    if (state.isDown) return void response.writeHead(500).end('down');
    const found = more(new URL(request.url ?? '', 'https://x').pathname);
    if (found === undefined) return respond(request, response, body);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
  };
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    calls.push({ ...callOf(request), body: '' });
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    caBundle: Buffer.from(authority.certPem).toString('base64'),
    calls,
    believe: (ca) => server.setSecureContext({ ...tls, ca }),
    get isDown() {
      return state.isDown;
    },
    set isDown(isDown) {
      state.isDown = isDown;
    },
    clear: () => void calls.splice(0),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function callOf(request: IncomingMessage): Omit<ExtensionCall, 'body'> {
  const socket = request.socket as TLSSocket;
  const { method = '', url = '', headers } = request;
  const shown = socket.getPeerCertificate().subject?.CN;
  return { method, url, headers, shownBy: socket.authorized && typeof shown === 'string' ? shown : '' };
}

function respond(request: IncomingMessage, response: ServerResponse, body: string): void {
  const send = (code: number, value: JsonObject): void =>
    void response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  const url = new URL(request.url ?? '', 'https://x');
  switch (url.pathname) {
    case root:
      return send(200, {
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion: 'wardle.example.com/v1',
        resources: flunders,
      });
    case `${root}/namespaces/n/flunders`:
      if (request.method === 'POST') return send(201, { ...item, given: JSON.parse(body) });
      if (url.searchParams.get('watch') !== 'true')
        return send(200, {
          kind: 'FlunderList',
          apiVersion: 'wardle.example.com/v1',
          metadata: { resourceVersion: '7' },
          items: [item],
        });
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ type: 'ADDED', object: item })}\n`);
      return;
    case '/openapi/v3':
      return send(200, {
        paths: {
          'apis/wardle.example.com/v1': {
            serverRelativeURL: '/openapi/v3/apis/wardle.example.com/v1?hash=H',
          },
        },
      });
    case '/openapi/v3/apis/wardle.example.com/v1':
      return send(200, { openapi: '3.0.0', info: { title: 'wardle', version: '1' }, paths: { [root]: {} } });
    case '/openapi/v2':
      return send(200, {
        swagger: '2.0',
        paths: {
          [`${root}/namespaces/{namespace}/flunders`]: {
            get: { operationId: 'listFlunders', schema: { $ref: '#/definitions/com.example.Flunder' } },
          },
          '/version': { get: {} },
        },
        definitions: {
          'com.example.Flunder': {
            type: 'object',
            properties: { metadata: { $ref: '#/definitions/io.k8s.api.core.v1.Pod' } },
          },
          'io.k8s.api.core.v1.Pod': { type: 'object', description: 'another one' },
        },
      });
    default:
      return send(404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 });
  }
}
