import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, listOf, objectsOf } from '#api/wire/json.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
/** Below, at and above what is copied into a piece, and what a piece has room for. */
const sizes = [
  1, 10, 65_000, 65_300, 65_536, 66_000, 1, 130_000, 262_144, 3, 300_000, 64_000, 64_000, 64_000,
];

describe('lists', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    for (const [index, size] of [...sizes, ...sizes].entries()) {
      const metadata = {
        name: `c${String(index).padStart(3, '0')}`,
        annotations: { x: 'y'.repeat(size / 3) },
      };
      await test.make(`${ns}/configmaps`, { metadata, data: { text: 'x'.repeat(size) } });
    }
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it('have every object as it is, whatever its size', async () => {
    const { json } = await test.call('GET', `${ns}/configmaps`);
    const items = objectsOf(json['items']);
    expect(items).toHaveLength(2 * sizes.length);
    for (const item of items) {
      const one = await test.call('GET', `${ns}/configmaps/${String(at(item, 'metadata.name'))}`);
      expect({ kind: 'ConfigMap', apiVersion: 'v1', ...item }).toEqual(one.json);
    }
  });

  it.each([
    ['one object', '?limit=1', 1],
    ['none', '?labelSelector=a=b', 0],
    ['a page', '?limit=5', 5],
  ])('of %s', async (_what, query, count) => {
    const { json } = await test.call('GET', `${ns}/configmaps${query}`);
    expect(objectsOf(json['items'])).toHaveLength(count);
  });

  it('have metadata alone, and rows, of objects of any size', async () => {
    for (const as of ['PartialObjectMetadataList', 'Table']) {
      const accept = `application/json;as=${as};g=meta.k8s.io;v=v1`;
      const { json } = await test.call('GET', `${ns}/configmaps`, { headers: { accept } });
      const shown = as === 'Table' ? json['rows'] : json['items'];
      expect(objectsOf(shown)).toHaveLength(2 * sizes.length);
    }
  });

  it('of FlowSchemas have rows in the order in which they are asked, page by page', async () => {
    const path = '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas?limit=3';
    const headers = { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' };
    const { json } = await test.call('GET', path, { headers });
    // The first three by name, as a 1.36 was seen to show them.
    expect(objectsOf(json['rows']).map(({ cells }) => listOf(cells)[0])).toEqual([
      ...['exempt', 'global-default', 'catch-all'],
    ]);
  });

  it('have no rows of a kind that nobody knows', async () => {
    const headers = { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' };
    for (const include of ['', 'None', 'Object', 'Metadata'])
      expect((await test.call('GET', `${ns}/configmaps?includeObject=${include}`, { headers })).status).toBe(
        200,
      );
    const { json } = await test.call('GET', `${ns}/configmaps?includeObject=Foo`, { headers });
    expect(json).toMatchObject({
      code: 400,
      message: `Unable to convert to Table as requested: includeObject: Invalid value: "Foo": must be 'Metadata', 'Object', 'None', or empty`,
    });
  });

  it('show what is stored as another kind, which may be longer than what is stored', async () => {
    const involvedObject = { kind: 'Pod', namespace: 'default', name: 'p' };
    const time = '2026-01-01T00:00:00Z';
    for (const [index, size] of [1, 30, 700].entries()) {
      await test.make(`${ns}/events`, {
        metadata: { name: `e${index}`, namespace: 'default' },
        ...{ involvedObject, type: 'Normal', reason: 'r', message: 'n'.repeat(size), count: 1 },
        ...{ firstTimestamp: time, lastTimestamp: time, source: { component: 'c' } },
      });
      const { json } = await test.call('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
      expect(objectsOf(json['items'])).toHaveLength(index + 1);
    }
  });
});
