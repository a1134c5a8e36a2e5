import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import {
  encryptedPlace,
  identity,
  type Place,
} from '#control-plane/apiserver/encryption/encrypted-server.fixture.ts';
import { noEtcd, startEtcd } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { KeyNeeded } from '#control-plane/store/sealed/sealing.ts';
import { createKmsClient } from './kms-client.ts';
import { startKmsPlugin } from './kms-plugin.fixture.ts';
import { KmsProvider } from './kms-provider.ts';

let place: Place;
let socket = '';
beforeEach(() => {
  place = encryptedPlace();
  socket = join(place.directory, 'kms.sock');
});
afterEach(() => place[Symbol.dispose]());

const secrets = '/api/v1/namespaces/default/secrets';
const word = 'c3Vyc3VtLWNvcmRh';
const secretNamed = (name: string): object => ({ metadata: { name }, data: { k: word } });
const byKms = (): object[] => [
  {
    resources: ['secrets'],
    providers: [{ kms: { apiVersion: 'v2', name: 'k', endpoint: `unix://${socket}` } }, identity],
  },
];

describe('a KMS plugin', () => {
  it('seals a seed once, and is asked for it once after a restart', async () => {
    const keys = new Map<string, Buffer>();
    {
      await using plugin = await startKmsPlugin(socket, keys);
      await using test = await place.start(byKms());

      for (const name of ['a', 'b', 'c']) await test.make(secrets, secretNamed(name));
      const stored = await place.stored('/registry/secrets/default/a');
      expect(stored.subarray(0, 17).toString()).toBe('k8s:enc:kms:v2:k:');
      expect(stored.includes(word)).toBe(false);
      expect(plugin.calls).toMatchObject({ encrypt: 1, decrypt: 0 });
      expect((await test.call('GET', '/healthz/kms-providers')).text).toBe('ok');
      expect((await test.call('GET', '/readyz?verbose')).text).toContain('[+]kms-providers ok');
    }
    await using plugin = await startKmsPlugin(socket, keys);
    await using test = await place.start(byKms());

    const { json } = await test.call('GET', secrets);
    expect(json['items']).toMatchObject([
      { data: { k: word } },
      { data: { k: word } },
      { data: { k: word } },
    ]);
    expect(plugin.calls.decrypt).toBe(1);
    const { text } = await test.call('GET', '/metrics');
    expect(text).toMatch(/^apiserver_storage_envelope_transformation_cache_misses_total 1$/m);
    expect(text).toMatch(/^apiserver_envelope_encryption_dek_source_cache_size 2$/m);
    const changed = await test.call('PUT', `${secrets}/a`, {
      body: { ...secretNamed('a'), data: { k: word, l: word } },
    });
    expect(changed.status).toBe(200);
  });

  it('that does not serve is told by health checks and by reads, and waited for', async () => {
    {
      await using _plugin = await startKmsPlugin(socket, new Map([['key-1', Buffer.alloc(32)]]));
      await using test = await place.start(byKms());

      await test.make(secrets, secretNamed('a'));
    }
    await using test = await place.start(byKms());

    const health = await test.call('GET', '/readyz');
    expect(health.status).toBe(500);
    expect(health.text).toContain('[-]kms-providers failed: reason withheld');
    expect((await test.call('GET', `${secrets}/a`)).json['message']).toMatch(
      /^Internal error occurred: failed to decrypt DEK, error: rpc error: code = UNAVAILABLE/,
    );
    expect((await test.call('POST', secrets, { body: secretNamed('b') })).json['message']).toMatch(
      /^Internal error occurred: got unexpected nil transformer/,
    );
    expect((await test.call('GET', '/api/v1/namespaces')).status).toBe(200);
    await using plugin = await startKmsPlugin(socket, new Map([['key-1', Buffer.alloc(32)]]));

    await expect
      .poll(async () => (await test.call('GET', `${secrets}/a`)).status, { timeout: 60_000 })
      .toBe(200);
    plugin.refusal = 'no';
  });

  it.skipIf(noEtcd !== '')('serves two servers on one etcd, which seal with seeds of their own', async () => {
    await using plugin = await startKmsPlugin(socket);
    await using etcd = await startEtcd();
    using other = encryptedPlace();

    const shared = { etcd: { endpoints: etcd.urls } };
    await using one = await place.start(byKms(), shared);
    await using two = await other.start(byKms(), shared);

    const stop = new AbortController();
    const seen = (async () => {
      const path = `${secrets}?watch=1&resourceVersion=0&fieldSelector=metadata.name=a`;
      for await (const event of two.watch(path, stop.signal)) return event;
      return undefined;
    })();
    const made = await one.make(secrets, secretNamed('a'));
    expect(await seen).toMatchObject({ object: { data: { k: word } } });
    expect(plugin.calls.decrypt).toBe(1);
    expect((await two.call('GET', `${secrets}/a`)).json).toEqual(made);
    const merge = { 'content-type': 'application/merge-patch+json' };
    await two.call('PATCH', `${secrets}/a`, { body: { data: { l: word } }, headers: merge });
    expect((await one.call('GET', `${secrets}/a`)).json['data']).toEqual({ k: word, l: word });
    expect(plugin.calls).toMatchObject({ encrypt: 2, decrypt: 2 });
    stop.abort();
  });
});

describe('KmsProvider', () => {
  const at = '/registry/secrets/default/a';
  const plain = Buffer.from('{"metadata":{}}');

  it('takes another key when the plugin has one, and reads what the old one sealed', async () => {
    await using plugin = await startKmsPlugin(socket);
    const clock = createFakeClock();
    let changes = 0;
    using provider = await providerOn(socket, clock, () => changes++);

    const old = provider.seal(plain, at);
    plugin.keyId = 'key-2';
    clock.advance(60_000);
    await expect.poll(() => changes).toBe(2);
    expect(provider.open(old, at)).toMatchObject({ value: plain, isStale: true });
    expect(provider.open(provider.seal(plain, at), at)).toMatchObject({ isStale: false });
    expect(plugin.calls).toMatchObject({ status: 2, encrypt: 2, decrypt: 0 });
  });

  it('writes no longer than three minutes for a plugin that is not well, and reads on', async () => {
    await using plugin = await startKmsPlugin(socket);
    const clock = createFakeClock();
    using provider = await providerOn(socket, clock, () => {});

    const sealed = provider.seal(plain, at);
    plugin.healthz = 'the key is disabled';
    clock.advance(60_000);
    await expect
      .poll(() => provider.failure)
      .toBe('kmsv2 Provider k is not healthy, error: got unexpected healthz status: the key is disabled');
    provider.seal(plain, at);
    const attempt = (): string => {
      clock.advance(10_000); // A few of these come before the plugin has answered, and ask nothing.
      try {
        provider.seal(plain, at);
        return 'sealed';
      } catch (error) {
        return String(error);
      }
    };
    await expect
      .poll(attempt, { timeout: 60_000 })
      .toMatch(/^Error: encryptedDEKSource with keyID hash "sha256:[0-9a-f]{64}" expired at /);
    expect(provider.open(sealed, at).value).toEqual(plain);
  });

  it('asks once for a key that many values need, and tells each why it is refused', async () => {
    const keys = new Map<string, Buffer>();
    await using plugin = await startKmsPlugin(socket, keys);
    const clock = createFakeClock();
    using writer = await providerOn(socket, clock, () => {});
    using reader = await providerOn(socket, clock, () => {});

    const values = [1, 2, 3].map(() => writer.seal(plain, at));
    plugin.refusal = 'locked';
    const needs = values.map((value) => {
      try {
        return reader.open(value, at);
      } catch (error) {
        return error;
      }
    });
    for (const need of needs) expect(need).toBeInstanceOf(KeyNeeded);
    await Promise.all(needs.map((need) => (need instanceof KeyNeeded ? need.ready : undefined)));
    expect(plugin.calls.decrypt).toBe(1);
    for (const value of values) {
      expect(() => reader.open(value, at)).toThrow(
        'failed to decrypt DEK, error: rpc error: code = FAILED_PRECONDITION desc = locked',
      );
    }
    plugin.refusal = '';
    clock.advance(2000);
    expect(() => reader.open(values[0] ?? plain, at)).toThrow(KeyNeeded);
    await expect.poll(() => reader.cachedKeys).toBe(2);
    expect(reader.open(values[2] ?? plain, at).value).toEqual(plain);
  });
});

async function providerOn(
  path: string,
  clock: ReturnType<typeof createFakeClock>,
  onChange: () => void,
): Promise<KmsProvider> {
  const client = await createKmsClient({ endpoint: `unix://${path}`, timeoutMs: 3000 }, () => {});
  const counts = { cacheMisses: 0, keysGenerated: 0, keysFailed: 0 };
  const provider = new KmsProvider({ name: 'k', client, clock, onChange, counts });
  await provider.start();
  return provider;
}
