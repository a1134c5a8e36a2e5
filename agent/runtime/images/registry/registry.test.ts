import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { systemClock } from '#base/clock.ts';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { openImageStore, type LocalImageStore } from '#agent/runtime/images/image-store.ts';
import { hasDebianRegistry, startDebianRegistry } from './debian-registry.fixture.ts';
import { parseChallenges } from './registry-auth.ts';
import { schemeOf } from './registry-transport.ts';
import { createRegistryClient, type RegistryOptions } from './registry.ts';
import { ociArchive, tarOf } from '#agent/runtime/images/test-archive.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.
const scratch = scratchDirectory('podwright-registry-');
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(`${scratch}/`);
});
afterEach(() => rmSync(directory, { recursive: true }));

const openStore = (options: Partial<RegistryOptions> = {}): Promise<LocalImageStore> =>
  openImageStore({
    directory: `${directory}/node`,
    unpack: (request) => unpackLayer(request),
    registry: createRegistryClient({
      clock: systemClock,
      retry: { initialMs: 1, factor: 1, maxMs: 1 },
      ...options,
    }),
  });

/** The files of an image: blobs by digest, and the digest of its manifest. */
async function makeImage(): Promise<{
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly manifest: string;
}> {
  const tar = await tarOf([{ name: 'hello', content: Buffer.alloc(100_000, 'hello') }]);
  const files = await ociArchive({
    layers: [{ tar, blob: gzipSync(tar, { level: 0 }) }],
    name: 'x',
    asFiles: true,
  });
  const blobs = new Map(
    files.filter(([name]) => name.startsWith('blobs/')).map(([, bytes]) => [digestOf(bytes), bytes]),
  );
  const index = JSON.parse(files.find(([name]) => name === 'index.json')?.[1].toString() ?? '') as {
    manifests: { digest: string }[];
  };
  return { blobs, manifest: index.manifests[0]?.digest ?? '' };
}

interface FakeRegistry extends AsyncDisposable {
  readonly host: string;
  readonly requests: string[];
}

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A registry of one image `team/app`; `before` may answer a request in its stead. */
async function serve(
  image: Awaited<ReturnType<typeof makeImage>>,
  before: Handler = () => false,
): Promise<FakeRegistry> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.range ?? ''}`.trim());
    if (before(request, response)) return;
    const name = /\/(?:manifests|blobs)\/(.+)$/.exec(request.url ?? '')?.[1] ?? '';
    const bytes = image.blobs.get(name === 'v1' ? image.manifest : name);
    if (bytes === undefined) return void response.writeHead(404).end();
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response
      .writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from })
      .end(bytes.subarray(from));
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('parseChallenges()', () => {
  it('reads quoted and plain parameters of several schemes', () => {
    expect(
      parseChallenges(
        'Bearer realm="https://a/t",service=reg,scope="repository:a/b:pull,push", Basic realm="x\\"y"',
      ),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: { realm: 'https://a/t', service: 'reg', scope: 'repository:a/b:pull,push' },
      },
      { scheme: 'basic', parameters: { realm: 'x"y' } },
    ]);
    expect(parseChallenges('')).toEqual([]);
  });
});

describe('schemeOf()', () => {
  it.each([
    ['localhost:5000', 'http'],
    ['127.0.0.1:5000', 'http'],
    ['[::1]:5000', 'http'],
    ['registry.example:5000', 'https'],
    ['127.example', 'https'],
    ['plain.example', 'http'],
    ['plain.example:8080', 'http'],
  ] as const)('%s is %s', (host, scheme) => {
    expect(schemeOf(host, ['plain.example'])).toBe(scheme);
  });
});

describe.skipIf(!isRoot)('pull() (needs root: unpacking sets owners)', () => {
  it('gets an image by tag and by digest', async () => {
    const image = await makeImage();
    await using registry = await serve(image);

    const store = await openStore();
    const byTag = await store.pull(`${registry.host}/team/app:v1`, {}, signal);
    expect(byTag.names).toEqual([`${registry.host}/team/app:v1`]);
    const byDigest = await store.pull(`${registry.host}/team/app@${image.manifest}`, {}, signal);
    expect(byDigest.id).toBe(byTag.id);
    expect(registry.requests.filter((request) => request.includes('/blobs/')).length).toBe(2); // one config, one layer
  });

  it('answers a bearer challenge with the credentials, and a basic one', async () => {
    const image = await makeImage();
    const wanted = `Basic ${Buffer.from('ada:secret').toString('base64')}`;
    let host = '';
    const bearer: Handler = ({ url = '', headers }, response) => {
      if (url.startsWith('/token')) {
        expect(url).toContain('scope=repository%3Ateam%2Fapp%3Apull');
        if (headers.authorization !== wanted) response.writeHead(401).end();
        else response.end('{"token":"t0"}');
        return true;
      }
      if (headers.authorization === 'Bearer t0') return false;
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="s"` })
        .end();
      return true;
    };
    const basic: Handler = ({ headers }, response) => {
      if (headers.authorization === wanted) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      return true;
    };
    for (const handler of [bearer, basic]) {
      await using registry = await serve(image, handler);

      ({ host } = registry);
      const store = await openStore();
      const reference = `${host}/team/app:v1`;
      await expect(store.pull(reference, {}, signal)).rejects.toMatchObject({ code: 'E_PERMISSION' });
      const credentials = { username: 'ada', password: 'secret' };
      await store.pull(reference, { credentials }, signal);
      const wrong = { ...credentials, password: 'wrong' };
      await expect(store.pull(reference, { credentials: wrong }, signal)).rejects.toMatchObject({
        code: 'E_PERMISSION',
      });
    }
  });

  it('resumes a layer whose connection breaks', async () => {
    const image = await makeImage();
    let breaks = 2;
    await using registry = await serve(image, ({ url = '', headers }, response) => {
      const bytes = image.blobs.get(url.split('/').at(-1) ?? '');
      if (bytes === undefined || bytes.length < 50_000 || breaks === 0) return false;
      breaks -= 1;
      const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from });
      // A moment later, so that what was sent is not thrown away with the connection.
      response.write(bytes.subarray(from, from + 30_000), () =>
        systemClock.after(50, () => response.destroy()),
      );
      return true;
    });

    const store = await openStore();
    await store.pull(`${registry.host}/team/app:v1`, {}, signal);
    const ranges = registry.requests.flatMap((request) => /bytes=(\d+)-/.exec(request)?.[1] ?? []);
    expect(ranges.length).toBe(2);
    expect(Number(ranges[0])).toBeGreaterThan(0);
  });

  it('tries again after a 503, gives up in the end, and does not retry a 404', async () => {
    const image = await makeImage();
    let failures = 3;
    await using registry = await serve(image, (_request, response) => {
      if (failures-- <= 0) return false;
      response.writeHead(503).end();
      return true;
    });

    const store = await openStore();
    await store.pull(`${registry.host}/team/app:v1`, {}, signal);
    failures = 100;
    await expect(store.pull(`${registry.host}/team/app:v1`, {}, signal)).rejects.toMatchObject({
      code: 'E_CONNECTION',
    });
    expect(failures).toBe(96);
    failures = 0;
    const before = registry.requests.length;
    await expect(store.pull(`${registry.host}/team/app:v2`, {}, signal)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
    });
    expect(registry.requests.length).toBe(before + 1);
  });

  it('follows a redirect to another host without its credentials', async () => {
    const image = await makeImage();
    const seen: (string | undefined)[] = [];
    await using storage = await serve(image, ({ headers }) => {
      seen.push(headers.authorization);
      return false;
    });
    await using registry = await serve(image, ({ url = '', headers }, response) => {
      if (headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
        return true;
      }
      if (!url.includes('/blobs/')) return false;
      response.writeHead(307, { location: `http://${storage.host}${url}` }).end();
      return true;
    });

    const store = await openStore();
    const credentials = { username: 'ada', password: 'secret' };
    await store.pull(`${registry.host}/team/app:v1`, { credentials }, signal);
    expect(seen).toEqual([undefined, undefined]);
  });

  it('gets a layer that the registry does not give from where its descriptor says, without credentials', async () => {
    const image = await makeImage();
    const seen: (string | undefined)[] = [];
    await using storage = await serve(image, ({ headers }) => {
      seen.push(headers.authorization);
      return false;
    });
    const document = JSON.parse(image.blobs.get(image.manifest)?.toString() ?? '') as {
      readonly layers: readonly { readonly digest: string }[];
    };
    const digest = document.layers[0]?.digest ?? '';
    const urls = ['ftp://127.0.0.1/x', `http://${storage.host}/v2/x/blobs/${digest}`];
    const layers = document.layers.map((layer) => ({ ...layer, urls }));
    const manifest = Buffer.from(JSON.stringify({ ...document, layers }));
    const blobs = new Map([...image.blobs, [digestOf(manifest), manifest]]);
    blobs.delete(digest);
    await using registry = await serve({ blobs, manifest: digestOf(manifest) }, ({ headers }, response) => {
      if (headers.authorization !== undefined) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      return true;
    });

    const store = await openStore();
    const credentials = { username: 'ada', password: 'secret' };
    await store.pull(`${registry.host}/team/app:v1`, { credentials }, signal);
    expect(seen).toEqual([undefined]);
  });

  it('takes an image whose digests are of sha512, and has it after the next start', async () => {
    const tar = await tarOf([{ name: 'hello', content: Buffer.from('hello') }]);
    const layer = gzipSync(tar);
    const config = Buffer.from(
      JSON.stringify({
        ...{ architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', os: 'linux' },
        rootfs: { type: 'layers', diff_ids: [digestOf(tar, 'sha512')] },
      }),
    );
    const descriptor = (bytes: Buffer, of: string): object => ({
      mediaType: `application/vnd.oci.image.${of}`,
      digest: digestOf(bytes, 'sha512'),
      size: bytes.length,
    });
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: descriptor(config, 'config.v1+json'),
        layers: [descriptor(layer, 'layer.v1.tar+gzip')],
      }),
    );
    const blobs = new Map([layer, config, manifest].map((each) => [digestOf(each, 'sha512'), each]));
    const digest = digestOf(manifest, 'sha512');
    await using registry = await serve({ blobs, manifest: digest });

    const name = `${registry.host}/team/app@${digest}`;
    const { id } = await (await openStore()).pull(name, {}, signal);
    const again = await openStore();
    expect(again.resolve(name)?.id).toBe(id);
    await again.pull(name, {}, signal);
    expect(registry.requests.filter((each) => each.includes(digestOf(layer, 'sha512')))).toHaveLength(1);
    const wrong = name.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    await expect(again.pull(wrong, {}, signal)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it.each(['//', 'http://[', 'http://a:99999/', 'ftp://127.0.0.1/x'])(
    'says where it cannot be redirected to: %s',
    async (location) => {
      const image = await makeImage();
      await using registry = await serve(image, (_, response) => {
        response.writeHead(307, { location }).end();
        return true;
      });

      const store = await openStore();
      await expect(store.pull(`${registry.host}/team/app:v1`, {}, signal)).rejects.toMatchObject({
        code: 'E_CONNECTION',
        message: expect.stringContaining(`redirects to "${location}"`),
      });
    },
  );

  it('asks again for a document whose connection breaks, and says so in the end', async () => {
    const image = await makeImage();
    let breaks = 2;
    await using registry = await serve(image, ({ url = '' }, response) => {
      if (!url.includes('/manifests/') || breaks-- <= 0) return false;
      response.writeHead(200, { 'content-length': 1000 }).write('{');
      setImmediate(() => response.destroy());
      return true;
    });

    const store = await openStore();
    await store.pull(`${registry.host}/team/app:v1`, {}, signal);
    breaks = 1000;
    await expect(store.pull(`${registry.host}/team/app:v1`, {}, signal)).rejects.toMatchObject({
      code: 'E_CONNECTION',
      message: `read answer of ${registry.host}: ECONNRESET`,
    });
  });

  it('refuses bytes that are not what the digest names, and leaves nothing', async () => {
    const image = await makeImage();
    const spoiled = new Map(
      [...image.blobs].map(([digest, bytes]) => [digest, bytes.length > 50_000 ? spoil(bytes) : bytes]),
    );
    await using registry = await serve({ ...image, blobs: spoiled });

    const store = await openStore();
    await expect(store.pull(`${registry.host}/team/app:v1`, {}, signal)).rejects.toMatchObject({
      code: 'E_INVALID',
    });
    expect(
      ['layers', 'images/tmp', 'images/blobs/sha256'].flatMap((path) =>
        readdirSync(`${directory}/node/${path}`),
      ),
    ).toEqual([]);
  });

  it('says that a registry cannot be reached, and connects as it is told to', async () => {
    const image = await makeImage();
    await using registry = await serve(image);

    const store = await openStore();
    await expect(store.pull('127.0.0.1:9/team/app:v1', {}, signal)).rejects.toMatchObject({
      code: 'E_CONNECTION',
    });
    const targets: string[] = [];
    const port = Number(registry.host.split(':')[1]);
    const through = await openStore({
      insecureRegistries: ['registry.example:5000'],
      connect: async (target) => {
        targets.push(`${target.host}:${target.port}`);
        return connect({ host: '127.0.0.1', port });
      },
    });
    await through.pull('registry.example:5000/team/app:v1', {}, signal);
    expect(new Set(targets)).toEqual(new Set(['registry.example:5000']));
  });

  it.skipIf(!hasDebianRegistry)(
    "pulls what was pushed to Debian's docker-registry (skipped without it)",
    async () => {
      const tar = await tarOf([{ name: 'hello', content: Buffer.alloc(100_000, 'hello') }]);
      const layers = [{ tar, blob: gzipSync(tar, { level: 0 }) }];
      const files = await ociArchive({ layers, name: 'x', asFiles: true });
      await using host = await startDebianRegistry(directory);

      const digest = await host.push('team/app:v1', files);
      const store = await openStore();
      const record = await store.pull(`${host.host}/team/app:v1`, {}, signal);
      expect(record.digests).toEqual([`${host.host}/team/app@${digest}`]);
      expect(hexOf(record.id)).toMatch(/^[0-9a-f]{64}$/);
      await expect(store.pull(`${host.host}/team/none:v1`, {}, signal)).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
      });
    },
  );
});

function spoil(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(50_000) ^ 1, 50_000);
  return copy;
}
