/** Mirrors of hosts.toml: pulls by them, past them, and what each of them is told. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { createRandom } from '#base/random.fixture.ts';
import { openImageStore, type LocalImageStore } from '#agent/runtime/images/image-store.ts';
import { ociArchive, tarOf } from '#agent/runtime/images/test-archive.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';
import { hasDebianRegistry, startDebianRegistry } from './debian-registry.fixture.ts';
import { originEndpoint, parseHosts } from './hosts-config.ts';
import { serveImages } from './registry.fixture.ts';
import { createRegistryClient } from './registry.ts';

const origin = originEndpoint('https://registry.example/v2');
const at = { host: 'registry.example', origin, place: '/etc/certs.d/registry.example' };

describe('parseHosts()', () => {
  it('has mirrors in their order, and the registry last', () => {
    const endpoints = parseHosts(
      `server = "https://registry.example"
[host."http://mirror.a:5000"]
  capabilities = ["pull"]
[host."https://mirror.b/path"]
  ca = "b.pem"
  client = [["b.crt", "b.key"]]
  skip_verify = true
  override_path = true
  [host."https://mirror.b/path".header]
    x-one = ["a", "b"]
`,
      at,
    );
    expect(endpoints).toEqual([
      { ...origin, base: 'http://mirror.a:5000/v2', canResolve: false, isMirror: true },
      {
        base: 'https://mirror.b/path',
        canResolve: true,
        canPull: true,
        authorities: ['/etc/certs.d/registry.example/b.pem'],
        client: [['/etc/certs.d/registry.example/b.crt', '/etc/certs.d/registry.example/b.key']],
        skipsVerify: true,
        headers: { 'x-one': 'a, b' },
        isMirror: true,
      },
      origin,
    ]);
  });

  it.each([
    ['[host."https://a"]\nfoo = 1', 'host."https://a".foo: no such field'],
    ['[host."https://a"]\ncapabilities = ["fly"]', 'fly is none of pull, resolve, push'],
    ['[host."https://a"]\nskip_verify = 1', 'host."https://a".skip_verify: true or false is wanted'],
    ['host = 3', 'host: tables are wanted'],
    ['server = ', 'Invalid TOML document'],
  ])('refuses %j by name', (text, words) => {
    expect(() => parseHosts(text, at)).toThrow(words);
  });
});

it('parseHosts() of anything is endpoints or E_INVALID or a TomlError', () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  const random = createRandom(seed);
  const words = [
    'server',
    '=',
    '"https://a"',
    '[host."http://b"]',
    '\n',
    'ca',
    '[',
    ']',
    '1',
    'true',
    'header',
    '.',
    '"',
    'x-y',
    ',',
  ];
  for (let run = 0; run < 500; run++) {
    const text = Array.from(
      { length: 1 + Math.floor(random() * 14) },
      () => words[Math.floor(random() * words.length)],
    ).join(' ');
    try {
      expect(parseHosts(text, at).length, `seed ${seed}: ${text}`).toBeGreaterThan(0);
    } catch (error) {
      const isTold =
        isPodwrightError(error, 'E_INVALID') ||
        (error instanceof Error && error.name === 'TomlError') ||
        /TOML/.test(String(error));
      expect(isTold, `seed ${seed}: ${JSON.stringify(text)}: ${String(error)}`).toBe(true);
    }
  }
});

const { signal } = new AbortController(); // The deadline is that of each test.
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('pulls by mirrors (needs root)', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mirrors-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const openStore = (): Promise<LocalImageStore> =>
    openImageStore({
      directory: `${directory}/node`,
      unpack: (request) => unpackLayer(request),
      registry: createRegistryClient({
        clock: systemClock,
        retry: { initialMs: 1, factor: 1, maxMs: 1 },
        hostsDirectory: `${directory}/certs.d`,
      }),
    });
  const say = (host: string, text: string): void => {
    mkdirSync(`${directory}/certs.d/${host}`, { recursive: true });
    writeFileSync(`${directory}/certs.d/${host}/hosts.toml`, text);
  };
  const makeFiles = async () => {
    const tar = await tarOf([{ name: 'hello', content: Buffer.alloc(1000, 'hello') }]);
    return ociArchive({ layers: [{ tar, blob: gzipSync(tar) }], name: 'x', asFiles: true });
  };

  it("takes from the first mirror that has it, tells it for whom, and keeps the registry's name", async () => {
    await using down = await serveImages((_request, response) => response.writeHead(503).end() !== undefined);
    await using mirror = await serveImages();

    mirror.add('team/app:v1', await makeFiles());
    say(
      '_default',
      `[host."http://${down.host}"]\n[host."http://${mirror.host}"]\n[host."http://${mirror.host}".header]\nx-mine = "yes"\n`,
    );
    const store = await openStore();
    const image = await store.pull(
      'registry.invalid/team/app:v1',
      { credentials: { username: 'u', password: 'p' } },
      signal,
    );
    expect(image.names).toEqual(['registry.invalid/team/app:v1']);
    expect(down.requests.length).toBeGreaterThan(0);
    expect(mirror.requests.every((request) => request.endsWith('?ns=registry.invalid'))).toBe(true);
  });

  it('goes past mirrors to the registry; a tag is what the registry says, where a mirror may not', async () => {
    await using mirror = await serveImages();
    await using registry = await serveImages();

    const files = await makeFiles();
    registry.add('team/app:v1', files);
    mirror.add('team/app:v1', files);
    say(
      registry.host.replace(/:(\d+)$/, '_$1_'),
      `[host."http://${mirror.host}"]\ncapabilities = ["pull"]\n`,
    );
    const store = await openStore();
    await store.pull(`${registry.host}/team/app:v1`, {}, signal);
    expect(mirror.requests.some((request) => request.includes('/manifests/'))).toBe(false);
    expect(mirror.requests.some((request) => request.includes('/blobs/'))).toBe(true);
    const missing = store.pull(`${registry.host}/team/none:v1`, {}, signal);
    await expect(missing).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('says which file is wrong', async () => {
    say('registry.invalid', '[host."https://a"]\nfoo = 1\n');
    const store = await openStore();
    const pull = store.pull('registry.invalid/x:1', {}, signal);
    await expect(pull).rejects.toThrow(
      /read .*registry\.invalid\/hosts\.toml: host."https:\/\/a".foo: no such field/,
    );
  });

  it.skipIf(!hasDebianRegistry)(
    "pulls by Debian's docker-registry for a registry that is not there",
    async () => {
      await using mirror = await startDebianRegistry(directory);

      const digest = await mirror.push('team/app:v1', await makeFiles());
      say('registry.invalid', `server = "https://registry.invalid"\n[host."http://${mirror.host}"]\n`);
      const store = await openStore();
      await store.pull(`registry.invalid/team/app@${digest}`, {}, signal);
      expect(store.resolve(`registry.invalid/team/app@${digest}`)).toBeDefined();
    },
  );
});
