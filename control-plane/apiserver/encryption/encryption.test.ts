import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { podNamed } from '#control-plane/apiserver/test-server.fixture.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { vacuum } from '#control-plane/store/free-pages.ts';
import { encryptedPlace, identity, withKeys, type Place } from './encrypted-server.fixture.ts';
import { Encryption } from './encryption.ts';
import { EncryptionMetrics } from './encryption-metrics.ts';
import { rewriteSealed } from './rewrite.ts';

let place: Place;
beforeEach(() => {
  place = encryptedPlace();
});
afterEach(() => place[Symbol.dispose]());

const secrets = '/api/v1/namespaces/default/secrets';
const keyOf = (name: string): string => `/registry/secrets/default/${name}`;
const word = 'c3Vyc3VtLWNvcmRh';
const secretNamed = (name: string): object => ({ metadata: { name, labels: { a: 'b' } }, data: { k: word } });
const only = (...providers: object[]): object[] => [{ resources: ['secrets'], providers }];

describe('secrets at rest', () => {
  it.each(['aescbc', 'aesgcm', 'secretbox'] as const)(
    'are sealed by %s, and read as they were',
    async (kind) => {
      await using test = await place.start(only(withKeys(kind, 'key1'), identity));

      const made = await test.make(secrets, secretNamed('s'));
      await test.make('/api/v1/namespaces/default/configmaps', {
        metadata: { name: 'c' },
        data: { k: word },
      });
      const stored = await place.stored(keyOf('s'));
      expect(stored.subarray(0, 26).toString('latin1')).toContain(`k8s:enc:${kind}:v1:key1:`.slice(0, 26));
      expect(stored.includes(word)).toBe(false);
      expect((await place.stored('/registry/configmaps/default/c')).includes(word)).toBe(true);
      expect((await test.call('GET', `${secrets}/s`)).json).toEqual(made);
      const list = await test.call('GET', `${secrets}?labelSelector=a=b&fieldSelector=type=Opaque`);
      expect(list.json['items']).toMatchObject([{ data: { k: word } }]);
      const merge = { 'content-type': 'application/merge-patch+json' };
      await test.call('PATCH', `${secrets}/s`, { body: { data: { j: word } }, headers: merge });
      expect((await place.stored(keyOf('s'))).includes(word)).toBe(false);
      expect((await test.call('GET', `${secrets}/s`)).json['data']).toEqual({ k: word, j: word });
      expect((await test.call('DELETE', `${secrets}/s`)).status).toBe(200);
      const { text } = await test.call('GET', '/metrics');
      expect(text).toMatch(
        new RegExp(
          `apiserver_storage_transformation_operations_total\\{resource="secrets",transformation_type="to_storage",transformer_prefix="k8s:enc:${kind}:v1:",status="OK"\\} [2-9]`,
        ),
      );
      expect(text).toMatch(
        /^apiserver_encryption_config_controller_last_config_info\{.*hash="sha256:[0-9a-f]{64}"\} 1$/m,
      );
    },
  );

  it('are told to watches as they were, whatever these select by', async () => {
    await using test = await place.start(only(withKeys('aesgcm', 'key1')));

    const stop = new AbortController();
    const queries = [
      '',
      '&labelSelector=a=b',
      '&fieldSelector=metadata.name=s',
      '&fieldSelector=type=Opaque',
    ];
    const first = queries.map(async (query) => {
      for await (const event of test.watch(`${secrets}?watch=1&resourceVersion=0${query}`, stop.signal))
        return event;
      return undefined;
    });
    await test.make(secrets, secretNamed('s'));
    for (const event of await Promise.all(first)) {
      expect(event).toMatchObject({ type: 'ADDED', object: { data: { k: word } } });
    }
    stop.abort();
  });

  it('that were plain are read, and sealed by the next write, though it changes nothing', async () => {
    {
      await using test = await place.start();

      await test.make(secrets, secretNamed('s'));
      expect((await place.stored(keyOf('s'))).includes(word)).toBe(true);
    }
    await using test = await place.start(only(withKeys('aescbc', 'key1'), identity));

    const found = (await test.call('GET', `${secrets}/s`)).json;
    const dry = await test.call('PUT', `${secrets}/s?dryRun=All`, { body: found });
    expect(dry.json['metadata']?.['resourceVersion']).toBe(found['metadata']?.['resourceVersion']);
    const put = await test.call('PUT', `${secrets}/s`, { body: found });
    expect(Number(put.json['metadata']?.['resourceVersion'])).toBeGreaterThan(
      Number(found['metadata']?.['resourceVersion']),
    );
    expect((await place.stored(keyOf('s'))).subarray(0, 22).toString()).toBe('k8s:enc:aescbc:v1:key1');
    const again = await test.call('PUT', `${secrets}/s`, { body: put.json });
    expect(again.json['metadata']?.['resourceVersion']).toBe(put.json['metadata']?.['resourceVersion']);
  });

  it('whose key is lost are told by kube-apiserver’s words, and the others go on', async () => {
    {
      await using test = await place.start(only(withKeys('aescbc', 'a')));

      await test.make(secrets, secretNamed('s'));
    }
    await using test = await place.start(only(withKeys('aescbc', 'b')));

    const why = 'no matching key was found for the provided AES transformer';
    const refusal = {
      message: `Internal error occurred: ${why}`,
      reason: 'InternalError',
      details: { causes: [{ message: why }] },
      code: 500,
    };
    expect((await test.call('GET', `${secrets}/s`)).json).toMatchObject(refusal);
    expect((await test.call('DELETE', `${secrets}/s`)).json).toMatchObject(refusal);
    expect((await test.call('PUT', `${secrets}/s`, { body: secretNamed('s') })).json).toMatchObject(refusal);
    const list = await test.call('GET', secrets);
    expect(list.json['message']).toBe(
      `Internal error occurred: unable to transform key "${keyOf('s')}": ${why}`,
    );
    expect((await test.call('GET', '/api/v1/namespaces/default/configmaps')).status).toBe(200);
    await test.make(secrets, secretNamed('t'));
    expect((await test.call('GET', `${secrets}/t`)).status).toBe(200);
  });

  it.each([
    ['no configuration', undefined],
    ['one of other kinds', [{ resources: ['foos.example.com'], providers: [withKeys('aescbc', 'a')] }]],
  ])('that %s tells of are no objects, by whatever way they are asked for', async (_name, resources) => {
    {
      await using test = await place.start(only(withKeys('aescbc', 'a')));

      await test.make(secrets, secretNamed('s'));
    }
    await using test = await place.start(resources);

    const why = 'identity transformer tried to read encrypted data';
    const refused = { code: 500, message: `Internal error occurred: ${why}` };
    const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect((await test.call('GET', `${secrets}/s`)).json).toMatchObject(refused);
    expect((await test.call('GET', `${secrets}/s`, { headers: table })).json).toMatchObject(refused);
    expect((await test.call('DELETE', `${secrets}/s`)).json).toMatchObject(refused);
    expect((await test.call('PUT', `${secrets}/s`, { body: secretNamed('s') })).json).toMatchObject(refused);
    const patch = await test.call('PATCH', `${secrets}/s`, { body: { data: { k: word } }, headers: merge });
    expect(patch.json).toMatchObject(refused);
    for (const query of [
      '',
      '?labelSelector=a=b',
      '?fieldSelector=type=Opaque',
      '?watch=1&timeoutSeconds=9',
    ]) {
      const { status, text } = await test.call('GET', `${secrets}${query}`);
      expect([query, status, text]).toEqual([
        ...[
          query,
          expect.any(Number),
          expect.stringContaining(`unable to transform key \\"${keyOf('s')}\\": ${why}`),
        ],
      ]);
    }
    await test.make(secrets, secretNamed('t'));
    expect((await test.call('GET', `${secrets}/t`)).status).toBe(200);
    const stop = new AbortController();
    const seen = test.watch(
      `${secrets}?watch=1&labelSelector=a=b&resourceVersion=${test.server.store.revision}`,
      stop.signal,
    );
    const next = seen.next();
    await place.put(keyOf('u'), 'k8s:enc:aescbc:v1:a:xx');
    expect((await next).value).toMatchObject({ type: 'ERROR', object: { code: 500 } });
    stop.abort();
  });

  it('that are rubbish in the store are one clear error each', async () => {
    await using test = await place.start(
      only(withKeys('aesgcm', 'a'), withKeys('aescbc', 'a'), withKeys('secretbox', 'a'), identity),
    );

    for (const [index, value] of [
      'k8s:enc:aesgcm:v1:a:',
      'k8s:enc:aesgcm:v1:',
      'k8s:enc:aescbc:v1:a:xx',
      'k8s:enc:secretbox:v1:a:00000000000000000000000000000000000000000',
      'k8s:enc:kms:v2:x:y',
      'k8s\0\n',
      'x',
      '',
    ].entries()) {
      const key = keyOf(`r${index}`);
      await place.put(key, value);
      const { status, json } = await test.call('GET', `${secrets}/r${index}`);
      expect(status, value).toBe(500);
      expect(json['message'], value).toMatch(/^Internal error occurred: \S/);
    }
  });

  it('are sealed for any kind, by wildcards, and the cluster starts on them again', async () => {
    const all = [{ resources: ['*.*'], providers: [withKeys('secretbox', 'a'), identity] }];
    {
      await using test = await place.start(all);

      await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
      await test.make('/api/v1/namespaces/default/pods', podNamed('p'));
    }
    await using test = await place.start(all);

    expect((await test.call('GET', '/api/v1/namespaces/default/pods/p')).status).toBe(200);
    for (const key of [
      '/registry/pods/default/p',
      '/registry/clusterroles/admin',
      '/registry/services/specs/default/kubernetes',
    ]) {
      expect((await place.stored(key)).subarray(0, 23).toString(), key).toBe('k8s:enc:secretbox:v1:a:');
    }
  });

  it('refuse to be served by a configuration that is wrong', async () => {
    await expect(place.start([{ resources: ['secrets'], providers: [] }])).rejects.toThrow(
      `start the server: --encryption-provider-config ${place.directory}/encryption.json: error while parsing file: resources[0].providers: Required value`,
    );
  });
});

describe('a rewrite', () => {
  it('seals all with the first key, and leaves nothing of what was plain in the files', async () => {
    {
      await using test = await place.start();

      for (let index = 0; index < 30; index++) await test.make(secrets, secretNamed(`s${index}`));
      expect((await test.call('DELETE', `${secrets}/s7`)).status).toBe(200);
    }
    expect(place.filesWith(word)).not.toEqual([]);
    place.configure(only(withKeys('aesgcm', 'b', 'a'), identity));
    const result = await rewrite(place);
    expect(result).toEqual({ values: 29, rewritten: 29, failed: [] });
    expect(place.filesWith(word)).toEqual([]);
    expect(await rewrite(place)).toMatchObject({ rewritten: 0 });
    await using test = await place.start(only(withKeys('aesgcm', 'b')));

    const { json } = await test.call('GET', secrets);
    expect(json['items']).toHaveLength(29);
    expect(json['items']?.['0']?.['data']).toEqual({ k: word });
  });

  it('is made by clients too, while the server runs, and compaction erases what was plain', async () => {
    {
      await using test = await place.start();

      for (let index = 0; index < 30; index++) await test.make(secrets, secretNamed(`s${index}`));
    }
    expect(place.filesWith(word)).not.toEqual([]);
    {
      await using test = await place.start(only(withKeys('aescbc', 'a'), identity));

      const { json } = await test.call('GET', secrets);
      const items: readonly object[] = JSON.parse(JSON.stringify(json['items']));
      for (const [index, body] of items.entries()) {
        const name = (body as { metadata: { name: string } }).metadata.name;
        expect((await test.call('PUT', `${secrets}/${name}`, { body })).status, String(index)).toBe(200);
      }
      await test.server.store.compact(test.server.store.revision);
    }
    expect(place.filesWith(word)).toEqual([]);
  });

  it('names what it cannot read, and does the others', async () => {
    {
      await using test = await place.start(only(withKeys('aesgcm', 'a'), identity));

      await test.make(secrets, secretNamed('s'));
    }
    {
      await using test = await place.start();

      await test.make(secrets, secretNamed('t'));
    }
    place.configure(only(withKeys('aesgcm', 'b'), identity));
    expect(await rewrite(place)).toEqual({
      values: 2,
      rewritten: 1,
      failed: [
        `${keyOf('s')}: Internal error occurred: no matching key was found for the provided AES transformer`,
      ],
    });
  });
});

async function rewrite({ directory }: Place): ReturnType<typeof rewriteSealed> {
  const parts = { clock: systemClock, logger: silentLogger, metrics: new EncryptionMetrics() };
  using encryption = new Encryption({ path: join(directory, 'encryption.json'), isReloaded: false }, parts);

  await encryption.start();
  const options = {
    directory: join(directory, 'store'),
    markFile: join(directory, 'store.mark'),
    clock: systemClock,
  };
  const store = await openEmbeddedStore(options);
  const result = await rewriteSealed(store, encryption);
  await store[Symbol.asyncDispose]();
  vacuum(join(directory, 'store', 'store.db'));
  return result;
}

describe('a configuration that changes', () => {
  it('is taken when it is right, and not when it is wrong', async () => {
    const path = place.configure(only(withKeys('aesgcm', 'a')));
    const clock = createFakeClock();
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_fields: object, text: string) => void errors.push(text) };
    using encryption = new Encryption(
      { path, isReloaded: true },
      { clock, logger, metrics: new EncryptionMetrics() },
    );

    await encryption.start();
    const key = keyOf('s');
    const plain = Buffer.from('{"metadata":{"name":"s"}}');
    const sealed = encryption.seal(key, plain);
    const generation = encryption.generation;
    place.configure(only(withKeys('aesgcm', 'b', 'a')));
    clock.advance(60_000);
    await expect.poll(() => encryption.generation).toBe(generation + 1);
    expect(encryption.open(key, sealed)).toEqual({ value: plain, isStale: true });
    expect(Buffer.from(encryption.seal(key, plain)).subarray(0, 20).toString()).toBe('k8s:enc:aesgcm:v1:b:');
    writeFileSync(path, 'kind: Foo');
    await encryption.look();
    expect(errors).toEqual(['the encryption stays as it was']);
    expect(encryption.open(key, sealed).value).toEqual(plain);
    expect(encryption.generation).toBe(generation + 1);
  });
});
