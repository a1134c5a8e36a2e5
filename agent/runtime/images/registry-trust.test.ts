import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { authorize } from './registry/registry-auth.ts';
import { createTransport, isSameServer, type Transport } from './registry/registry-transport.ts';
import { createRegistryClient } from './registry/registry.ts';

const { signal } = new AbortController(); // The deadline is that of each test.
const credentials = { username: 'ada', password: 'secret' };
const basic = `Basic ${Buffer.from('ada:secret').toString('base64')}`;

interface Asked {
  readonly url: string;
  readonly authorization: string | undefined;
}

/** A token server that writes down what it is asked. */
function tokenServer(asked: Asked[]): Transport {
  return async ({ url, headers }) => {
    asked.push({ url: url.href, authorization: headers['authorization'] });
    const body = Readable.from([Buffer.from('{"token":"t"}')]) as IncomingMessage;
    return { status: 200, headers: {}, url, body };
  };
}

describe('authorize(): where a password goes', () => {
  const https = 'https://registry.example/v2/a/manifests/v1';
  it.each([
    { name: 'to an encrypted token server', challenger: https, realm: 'https://auth.example/t', want: basic },
    {
      name: 'in the clear, where the registry is',
      challenger: 'http://plain.example/',
      realm: 'http://plain.example/t',
      want: basic,
    },
    {
      name: 'encrypted, where the registry is not',
      challenger: 'http://plain.example/',
      realm: 'https://auth.example/t',
      want: basic,
    },
    {
      name: 'not in the clear for an encrypted registry',
      challenger: https,
      realm: 'http://registry.example/t',
      want: undefined,
    },
    {
      name: 'not in the clear to loopback either',
      challenger: https,
      realm: 'http://127.0.0.1/t',
      want: undefined,
    },
    { name: 'to no other scheme', challenger: https, realm: 'ftp://auth.example/t', want: undefined },
  ])('$name', async ({ challenger, realm, want }) => {
    const asked: Asked[] = [];
    const context = {
      clock: systemClock,
      transport: tokenServer(asked),
      challenger: new URL(challenger),
      credentials,
      path: 'a',
    };
    const answer = authorize(`Bearer realm="${realm}",service="s"`, context, signal);
    if (want === undefined) {
      await expect(answer).rejects.toMatchObject({
        code: 'E_PERMISSION',
        message: expect.stringMatching(/^authenticate to registry\.example: its token server /),
      });
      expect(asked).toEqual([]);
    } else {
      expect(await answer).toBe('Bearer t');
      expect(asked.map(({ authorization }) => authorization)).toEqual([want]);
    }
  });

  it('nobody’s token is asked for in the clear', async () => {
    const asked: Asked[] = [];
    const context = {
      clock: systemClock,
      transport: tokenServer(asked),
      challenger: new URL(https),
      credentials: undefined,
      path: 'a',
    };
    expect(await authorize('Bearer realm="http://a.example/t"', context, signal)).toBe('Bearer t');
    expect(asked).toEqual([
      { url: 'http://a.example/t?scope=repository%3Aa%3Apull', authorization: undefined },
    ]);
  });
});

describe('isSameServer()', () => {
  it.each([
    ['https://a/x', 'https://a/y', true],
    ['https://a/x', 'http://a/y', true],
    ['http://a/x', 'https://a/y', false],
    ['https://a:444/x', 'https://a/y', false],
    ['https://b/x', 'https://a/y', false],
  ])('%s for %s: %s', (next, url, want) => {
    expect(isSameServer(new URL(next), new URL(url))).toBe(want);
  });
});

describe('what reaches other hosts', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });
  const serve = async (listener: RequestListener): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = createServer(listener).listen(0, '127.0.0.1', resolve);
    closing.push(() => server.close());
    await promise;
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('a URL’s own user and password are sent to nobody', async () => {
    const seen: (string | undefined)[] = [];
    let host = '';
    host = await serve(({ url, headers }, response) => {
      seen.push(headers.authorization);
      if (url === '/end') response.end('x');
      else response.writeHead(307, { location: `http://eve:pw@${host}/end` }).end();
    });
    const answer = await createTransport({})({ url: new URL(`http://bob:pw@${host}/`), headers: {} }, signal);
    answer.body.destroy();
    expect(seen).toEqual([undefined, undefined]);
  });

  it.each(['Basic realm="x"', 'Bearer'])(
    'a host that the registry redirects to is not told who we are, by %s',
    async (scheme) => {
      const seen: (string | undefined)[] = [];
      let elsewhere = '';
      elsewhere = await serve(({ url = '', headers }, response) => {
        seen.push(headers.authorization);
        if (url.startsWith('/token')) return void response.end('{"token":"theirs"}');
        if (headers.authorization === 'Bearer theirs') return void response.writeHead(404).end();
        const challenge = scheme === 'Bearer' ? `Bearer realm="http://${elsewhere}/token"` : scheme;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      });
      const registry = await serve(({ url = '', headers }, response) => {
        if (headers.authorization !== basic)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' });
        else response.writeHead(307, { location: `http://${elsewhere}${url}` });
        response.end();
      });
      const client = createRegistryClient({ clock: systemClock });
      const request = {
        reference: { host: registry, path: 'team/app', tag: 'v1', digest: undefined },
        platform: { os: 'linux', architecture: 'amd64', variant: undefined },
        credentials,
        directory: '/nonexistent',
      };
      // With a token of its own, it is asked again with that: every hop its own challenge.
      await expect(client.resolve(request, signal)).rejects.toMatchObject({
        code: scheme === 'Bearer' ? 'E_NOT_FOUND' : 'E_PERMISSION',
      });
      expect(seen).not.toContain(basic);
      expect(seen.at(-1)).toBe(scheme === 'Bearer' ? 'Bearer theirs' : undefined);
    },
  );

  it('a token for the registry does not go to where it redirects', async () => {
    const seen: (string | undefined)[] = [];
    const storage = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(404).end();
    });
    let registry = '';
    registry = await serve(({ url = '', headers }, response) => {
      if (url.startsWith('/token')) return void response.end('{"token":"ours"}');
      if (headers.authorization === 'Bearer ours')
        response.writeHead(307, { location: `http://${storage}${url}` });
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${registry}/token"` });
      response.end();
    });
    const client = createRegistryClient({ clock: systemClock });
    const reference = { host: registry, path: 'team/app', tag: 'v1', digest: undefined };
    const platform = { os: 'linux', architecture: 'amd64', variant: undefined };
    await expect(
      client.resolve({ reference, platform, credentials, directory: '/nonexistent' }, signal),
    ).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(seen).toEqual([undefined]);
  });
});
