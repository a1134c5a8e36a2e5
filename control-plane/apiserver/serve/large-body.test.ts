import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nextTurn } from '#base/time-slice.ts';
import { largeBytesMin, workOnBody } from './large-body.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const request = { signal: new AbortController().signal };

describe('workOnBody()', () => {
  test('works on large bodies one at a time, and on small ones at once', async () => {
    const order: string[] = [];
    const work = (name: string, bytes: number): Promise<void> =>
      workOnBody({ bytes, request }, async ({ pause }) => {
        order.push(`${name} begins`);
        if (pause !== undefined) await pause();
        await nextTurn();
        order.push(`${name} ends`);
      });
    await Promise.all([work('a', largeBytesMin), work('b', largeBytesMin), work('small', 10)]);
    expect(order.filter((line) => !line.startsWith('small'))).toEqual([
      'a begins',
      'a ends',
      'b begins',
      'b ends',
    ]);
    expect(order[0]).toBe('small begins');
  });

  test('one that fails gives its turn back', async () => {
    const large = { bytes: largeBytesMin, request };
    await expect(workOnBody(large, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await workOnBody(large, async () => {});
  });

  test('nothing is done for a client that went while it waited', async () => {
    const client = new AbortController();
    const first = workOnBody({ bytes: largeBytesMin, request }, nextTurn);
    let hasBegun = false;
    const second = workOnBody({ bytes: largeBytesMin, request: client }, async () => void (hasBegun = true));
    client.abort(new Error('gone'));
    await first;
    await expect(second).rejects.toThrow('gone');
    expect(hasBegun).toBe(false);
  });
});

describe('writes of large objects', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const path = '/api/v1/namespaces/default/configmaps';
  const keys = (count: number, value: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`key-${i}`, value]));

  test('create, update and patch of one come to the same as of a small one', async () => {
    const made = await server.make(path, { metadata: { name: 'big' }, data: keys(20_000, 'a') });
    const put = await server.call('PUT', `${path}/big`, { body: { ...made, data: keys(20_000, 'b') } });
    expect(put.status).toBe(200);
    const patch = (body: unknown) =>
      server.call('PATCH', `${path}/big`, {
        body,
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    expect((await patch({ data: { 'key-1': null, more: 'c' } })).status).toBe(200);
    const { json } = await server.call('GET', `${path}/big`);
    expect(Object.keys(json['data'] ?? {})).toHaveLength(20_000);
    expect(json['data']?.['more']).toBe('c');
    // Checked ahead, and refused as ever.
    const bad = await patch({ data: { '!': 'x' } });
    expect(bad.status).toBe(422);
    const stale = await server.call('PUT', `${path}/big`, { body: { ...made, data: keys(20_000, 'c') } });
    expect(stale.status).toBe(409);
    const gone = await server.call('PUT', `${path}/none`, {
      body: { metadata: { name: 'none' }, data: keys(20_000, 'c') },
    });
    expect(gone.status).toBe(404);
  });

  test('patches of one by many writers all count', async () => {
    await server.make(path, { metadata: { name: 'many' }, data: keys(5000, 'a-longer-value') });
    const patch = (i: number) =>
      server.call('PATCH', `${path}/many`, {
        body: { metadata: { labels: { [`l${i}`]: 'x' } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => patch(i)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    const { json } = await server.call('GET', `${path}/many`);
    expect(Object.keys(json['metadata']?.['labels'] ?? {})).toHaveLength(20);
  });
});
