import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const cms = '/api/v1/namespaces/w/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };

describe('watchObjects()', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'w' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const newest = async (): Promise<string> => {
    const { json } = await test.call('GET', cms);
    return String(json['metadata']?.['resourceVersion']);
  };
  const patch = (name: string, body: object): Promise<unknown> =>
    test.call('PATCH', `${cms}/${name}`, { body, headers: merge });
  /** The first `count` events of a watch, as `TYPE name`. */
  const take = async (query: string, count: number): Promise<readonly Json[]> => {
    const stop = new AbortController();
    const events: Json[] = [];
    for await (const event of test.watch(`${cms}?watch=true&${query}`, stop.signal)) {
      events.push(event);
      if (events.length === count) break;
    }
    return events;
  };
  const brief = (events: readonly Json[]): readonly string[] =>
    events.map((event) => `${String(event['type'])} ${String(event['object']?.['metadata']?.['name'])}`);

  it('tells what changed after a revision, each object with its own revision', async () => {
    const from = await newest();
    await test.make(cms, { metadata: { name: 'one' } });
    await patch('one', { data: { a: 'b' } });
    await test.call('DELETE', `${cms}/one`);
    const events = await take(`resourceVersion=${from}`, 3);
    expect(brief(events)).toEqual(['ADDED one', 'MODIFIED one', 'DELETED one']);
    const revisions = events.map((event) => Number(event['object']?.['metadata']?.['resourceVersion']));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(new Set(revisions).size).toBe(3);
    expect(events[2]?.['object']).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', data: { a: 'b' } });
  });

  it('shows objects that come to match as added, and those that no longer do as deleted', async () => {
    const from = await newest();
    await test.make(cms, { metadata: { name: 'two' } });
    await patch('two', { metadata: { labels: { on: 'yes' } } });
    await patch('two', { data: { a: 'b' } });
    await patch('two', { metadata: { labels: { on: 'no' } } });
    await test.call('DELETE', `${cms}/two`);
    const events = await take(`resourceVersion=${from}&labelSelector=on%3Dyes`, 3);
    expect(brief(events)).toEqual(['ADDED two', 'MODIFIED two', 'DELETED two']);
    expect(events[2]?.['object']?.['metadata']?.['labels']).toEqual({ on: 'yes' });
  });

  it('begins with what is there when no revision is named', async () => {
    await test.make(cms, { metadata: { name: 'three' } });
    expect(brief(await take('', 1))).toEqual(['ADDED three']);
    expect(brief(await take('resourceVersion=0', 1))).toEqual(['ADDED three']);
  });

  it('sends the columns of a Table once', async () => {
    const stop = new AbortController();
    await test.make(cms, { metadata: { name: 'four' } });
    const transport = test.server.transport();
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const response = await transport.request({
      method: 'GET',
      path: `${cms}?watch=true`,
      headers: { accept },
      signal: stop.signal,
    });
    const lines: Json[] = [];
    if (response.body instanceof Uint8Array) throw new Error('not a stream');
    for await (const chunk of response.body) {
      lines.push(
        ...Buffer.from(chunk)
          .toString()
          .trim()
          .split('\n')
          .map((line): Json => JSON.parse(line)),
      );
      if (lines.length >= 2) break;
    }
    expect(lines[0]?.['object']?.['columnDefinitions']).toMatchObject([{ name: 'Name' }, {}, {}]);
    expect(lines[1]?.['object']?.['columnDefinitions']).toBeNull();
  });

  it('answers a revision that was compacted with one error event', async () => {
    const from = await newest();
    await patch('three', { data: { n: '1' } });
    await patch('three', { data: { n: '2' } });
    await test.server.store.compact(test.server.store.revision);
    const [event] = await take(`resourceVersion=${from}`, 1);
    expect(event).toMatchObject({
      type: 'ERROR',
      object: {
        kind: 'Status',
        code: 410,
        reason: 'Expired',
        message: expect.stringMatching(/^too old resource version: \d+ \(\d+\)$/),
      },
    });
  });

  it('refuses sendInitialEvents without a match, and on a list', async () => {
    const without = await test.call('GET', `${cms}?watch=true&sendInitialEvents=true`);
    expect(without.json['message']).toBe(
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
    const list = await test.call('GET', `${cms}?sendInitialEvents=true`);
    expect(list.json['message']).toBe(
      'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    );
  });

  it('ends by itself after timeoutSeconds', async () => {
    const events: Json[] = [];
    const from = await newest();
    const path = `${cms}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=${from}`;
    for await (const event of test.watch(path, new AbortController().signal)) events.push(event);
    expect(events).toMatchObject([{ type: 'BOOKMARK' }]);
    // The server writes of its own, too, within a second.
    expect(Number(events[0]?.['object']?.['metadata']?.['resourceVersion'])).toBeGreaterThanOrEqual(
      Number(from),
    );
  });
});

describe('listObjects()', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'w' } });
    for (const name of ['p1', 'p2', 'p3', 'p4', 'p5'])
      await test.make(cms, { metadata: { name, labels: { k: 'v' } } });
  });
  afterAll(() => test[Symbol.asyncDispose]());
  const names = (json: Json): unknown =>
    Array.isArray(json['items']) ? json['items'].map((item: Json) => item['metadata']?.['name']) : undefined;

  it('gives pages that continue at the revision of the first', async () => {
    const first = (await test.call('GET', `${cms}?limit=2`)).json;
    expect(names(first)).toEqual(['p1', 'p2']);
    expect(first['metadata']).toMatchObject({ remainingItemCount: 3 });
    await test.call('DELETE', `${cms}/p3`);
    const token = String(first['metadata']?.['continue']);
    expect(JSON.parse(Buffer.from(token, 'base64url').toString())).toMatchObject({
      v: 'meta.k8s.io/v1',
      start: '/p2\0',
    });
    const second = (await test.call('GET', `${cms}?limit=2&continue=${token}`)).json;
    expect(names(second)).toEqual(['p3', 'p4']);
    expect(second['metadata']?.['resourceVersion']).toBe(first['metadata']?.['resourceVersion']);
    await test.server.store.compact(test.server.store.revision);
    const third = await test.call(
      'GET',
      `${cms}?limit=2&continue=${String(second['metadata']?.['continue'])}`,
    );
    expect(third.json).toMatchObject({
      code: 410,
      reason: 'Expired',
      metadata: { continue: expect.any(String) },
    });
    const goOn = await test.call(
      'GET',
      `${cms}?limit=2&continue=${String(third.json['metadata']?.['continue'])}`,
    );
    expect(names(goOn.json)).toEqual(['p5']);
  });

  it('leaves the count of the rest out when a selector is set', async () => {
    const { json } = await test.call('GET', `${cms}?limit=1&labelSelector=k%3Dv`);
    expect(json['metadata']?.['continue']).toEqual(expect.any(String));
    expect(json['metadata']).not.toHaveProperty('remainingItemCount');
  });

  it('takes no limit for resourceVersion 0, and reads the past exactly', async () => {
    expect(names((await test.call('GET', `${cms}?limit=2&resourceVersion=0`)).json)).toHaveLength(4);
    const old = String(test.server.store.revision);
    await test.call('DELETE', `${cms}/p5`);
    const then = await test.call('GET', `${cms}?resourceVersion=${old}&resourceVersionMatch=Exact`);
    expect(names(then.json)).toContain('p5');
    const compacted = await test.call('GET', `${cms}?resourceVersion=1&resourceVersionMatch=Exact`);
    expect(compacted.json).toMatchObject({
      code: 410,
      message: 'The resourceVersion for the provided list is too old.',
    });
  });

  it('gives items without kind and apiVersion', async () => {
    const { json } = await test.call('GET', cms);
    expect(json['items']?.['0']).not.toHaveProperty('kind');
    expect(json).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
  });

  it('refuses a token with a revision beside it', async () => {
    const first = (await test.call('GET', `${cms}?limit=1`)).json;
    const token = String(first['metadata']?.['continue']);
    expect((await test.call('GET', `${cms}?limit=1&continue=${token}&resourceVersion=5`)).json).toMatchObject(
      {
        code: 400,
        message: 'specifying resource version is not allowed when using continue',
      },
    );
    expect((await test.call('GET', `${cms}?limit=1&continue=${token}&resourceVersion=0`)).status).toBe(200);
  });

  it('refuses a token that is not its own', async () => {
    expect((await test.call('GET', `${cms}?continue=zzz`)).json).toMatchObject({
      code: 400,
      reason: 'BadRequest',
    });
  });
});
