import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate, type KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import { createNodeDialer, mayAskAgain, type Endpoint, type NodeDialer } from './node-dialer.ts';

describe('mayAskAgain()', () => {
  const broken = (code: string, syscall: string, isReused = true) => ({
    kind: 'broken' as const,
    isReused,
    error: Object.assign(new Error(code), { code, syscall }),
  });
  it.each([
    ['GET on a kept connection that was closed', broken('ECONNRESET', 'read'), 'GET', 0, true],
    ['GET that could not be written', broken('EPIPE', 'write'), 'GET', 0, true],
    ['GET on a connection of its own', broken('ECONNRESET', 'read', false), 'GET', 0, false],
    ['GET that nobody takes', broken('ECONNREFUSED', 'connect'), 'GET', 0, false],
    ['POST that could not be written', broken('EPIPE', 'write'), 'POST', 100, true],
    ['POST that was reset as it was written', broken('ECONNRESET', 'write'), 'POST', 0, true],
    ['POST that may have been read', broken('ECONNRESET', 'read'), 'POST', 0, false],
    ['POST of which a part may have been read', broken('EPIPE', 'write'), 'POST', 1_000_000, false],
  ])('%s: %s', (_name, outcome, method, bodyBytes, want) => {
    expect(mayAskAgain(outcome, { method, bodyBytes })).toBe(want);
  });
});

describe('createNodeDialer()', () => {
  let authority: KeyPair;
  let serving: KeyPair;
  let dialer: NodeDialer;
  const servers: http.Server[] = [];
  beforeAll(async () => {
    authority = await createAuthority('ca', Date.now());
    const issue = (commonName: string, usages: readonly ('client' | 'server')[]): Promise<KeyPair> =>
      issueCertificate(authority, { commonName, hosts: ['127.0.0.1'], usages, nowMs: Date.now() });
    serving = await issue('kubelet', ['server']);
    const client = await issue('apiserver', ['client']);
    dialer = createNodeDialer({
      credentials: () => ({ caCertPem: authority.certPem, client }),
      mayDial: () => true,
    });
  });
  afterAll(() => {
    dialer[Symbol.dispose]();
    for (const server of servers) server.close();
  });

  /** Answers the first request of a connection; at the second it closes it, as one does whose patience ended just then. */
  async function serve(scheme: Endpoint['scheme'], seen: string[]): Promise<Endpoint> {
    const answered = new WeakSet<Socket>();
    const answer: http.RequestListener = (request, response) => {
      seen.push(`${request.method} ${request.socket.remotePort === undefined ? '' : request.url}`);
      if (answered.has(request.socket)) return void request.socket.destroy();
      answered.add(request.socket);
      response.end('ok');
    };
    const tls = { cert: serving.certPem, key: serving.keyPem, ca: authority.certPem };
    const server =
      scheme === 'http'
        ? http.createServer(answer)
        : https.createServer({ ...tls, requestCert: scheme === 'kubelet' }, answer);
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, scheme };
  }

  const ask = async (endpoint: Endpoint, method: string): Promise<string> => {
    const { signal } = new AbortController();
    const answer = await dialer.request(endpoint, { method, path: '/x', headers: {}, signal });
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    return text;
  };

  it.each(['kubelet', 'https', 'http'] as const)(
    'asks a %s endpoint again, the same way, when a kept connection ends; once, and not what may not be done twice',
    async (scheme) => {
      const seen: string[] = [];
      const endpoint = await serve(scheme, seen);
      expect(await ask(endpoint, 'GET')).toBe('ok');
      expect(await ask(endpoint, 'GET')).toBe('ok');
      expect(seen).toEqual(['GET /x', 'GET /x', 'GET /x']);
      expect(await ask(endpoint, 'GET')).toBe('ok');
      await expect(ask(endpoint, 'POST')).rejects.toThrow('EOF');
      expect(seen.filter((each) => each === 'POST /x')).toHaveLength(1);
    },
  );

  it.each([
    ['understands a pod that ends its lines without CR', 'Content-type: text/plain\n\nbody\n', 'body\n'],
    ['refuses what no client is told in a header', 'X-A: a\u0001b\n\nbody\n', 'malformed header X-A'],
  ])('%s', async (_name, rest, want) => {
    const server = net.createServer((socket) => {
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\n${rest}`));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const said = ask({ host: '127.0.0.1', port, scheme: 'http' }, 'GET');
    expect(await said.catch((error: unknown) => String(error))).toContain(want);
    server.close();
  });
});
