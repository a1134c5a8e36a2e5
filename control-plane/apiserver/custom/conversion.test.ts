/** Custom objects of several versions that a webhook converts, on a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, withPath } from '#api/wire/json.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { converted, startConverter, type ConverterServer } from './converter.fixture.ts';
import { definitionOf, definitionsPath } from './definition.fixture.ts';

const stack = new AsyncDisposableStack();
let test: TestServer;
let converter: ConverterServer;

/** v1 has spec.size as a text, v2 as a number and in `spec.length`. */
function convertSize(object: JsonObject, apiVersion: string): JsonObject {
  const isNew = apiVersion === 'crd.example.com/v2';
  const size = at(object, isNew ? 'spec.size' : 'spec.length');
  const spec = isNew ? { length: Number(size) } : { size: String(size) };
  return { ...object, apiVersion, spec };
}
const convertsSize = (review: JsonObject): JsonObject => converted(review, convertSize);

const schema = (spec: object): object => ({
  openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec } } },
});

beforeAll(async () => {
  test = stack.use(await startTestServer({ mayDial: () => true }));
  converter = stack.use(await startConverter(convertsSize));
  await test.make(
    definitionsPath,
    definitionOf('sizes', 'Size', {
      spec: {
        versions: [
          { name: 'v1', served: true, storage: true, schema: schema({ size: { type: 'string' } }) },
          {
            ...{ name: 'v2', served: true, storage: false },
            schema: schema({ length: { type: 'integer', minimum: 1 } }),
            selectableFields: [{ jsonPath: '.spec.length' }],
          },
        ],
        conversion: {
          strategy: 'Webhook',
          webhook: {
            conversionReviewVersions: ['v1'],
            clientConfig: { url: converter.url, caBundle: converter.caBundle },
          },
        },
      },
    }),
  );
  const deadline = AbortSignal.timeout(150_000);
  while ((await test.call('GET', path('v1'))).status !== 200) deadline.throwIfAborted();
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  converter.answer = convertsSize;
  converter.reviews.length = 0;
});

const path = (version: string, name = ''): string =>
  `/apis/crd.example.com/${version}/namespaces/default/sizes${name === '' ? '' : `/${name}`}`;
const sizeNamed = (version: string, name: string, spec: object): object => ({
  apiVersion: `crd.example.com/${version}`,
  kind: 'Size',
  metadata: { name },
  spec,
});
const patch = (where: string, body: object): ReturnType<TestServer['call']> =>
  test.call('PATCH', where, {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/merge-patch+json' },
  });

describe('objects of several versions', () => {
  it('are written in one and read in the other', async () => {
    const made = await test.make(path('v2'), sizeNamed('v2', 'a', { length: 3 }));
    expect(made).toMatchObject({ apiVersion: 'crd.example.com/v2', spec: { length: 3 } });
    const stored = await test.call('GET', path('v1', 'a'));
    expect(stored.json).toMatchObject({ apiVersion: 'crd.example.com/v1', spec: { size: '3' } });
    const read = await test.call('GET', path('v2', 'a'));
    expect(read.json).toEqual(made);
  });

  it('are changed by either, and judged in the version of the request', async () => {
    await test.make(path('v1'), sizeNamed('v1', 'b', { size: '4' }));
    const patched = await patch(path('v2', 'b'), { spec: { length: 5 } });
    expect(patched.json).toMatchObject({ spec: { length: 5 }, metadata: { generation: 2 } });
    expect((await test.call('GET', path('v1', 'b'))).json).toMatchObject({ spec: { size: '5' } });
    expect((await patch(path('v2', 'b'), { spec: { length: 0 } })).status).toBe(422);
  });

  it('are owned by field in the version of each owner, as the webhook converts them', async () => {
    const apply = (
      version: string,
      manager: string,
      spec: object,
      force = false,
    ): ReturnType<TestServer['call']> =>
      test.call('PATCH', `${path(version, 'o')}?fieldManager=${manager}&force=${force}`, {
        body: JSON.stringify(sizeNamed(version, 'o', spec)),
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
    const owners = (answer: { readonly json: JsonObject }): unknown =>
      objectsOf(at(answer.json, 'metadata.managedFields'))
        .map(({ manager, apiVersion, fieldsV1 }) => [manager, apiVersion, JSON.stringify(fieldsV1)])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    expect((await apply('v1', 'one', { size: '3' })).status).toBe(201);
    const refused = await apply('v2', 'two', { length: 4 });
    expect(refused.json['message']).toBe('Apply failed with 1 conflict: conflict with "one": .spec.size');
    // As it is already, they share it.
    const shared = await apply('v2', 'two', { length: 3 });
    expect(owners(shared)).toEqual([
      ['one', 'crd.example.com/v1', '{"f:spec":{"f:size":{}}}'],
      ['two', 'crd.example.com/v2', '{"f:spec":{"f:length":{}}}'],
    ]);
    const taken = await apply('v2', 'two', { length: 4 }, true);
    expect(owners(taken)).toEqual([['two', 'crd.example.com/v2', '{"f:spec":{"f:length":{}}}']]);
    const written = await test.call('PATCH', `${path('v1', 'o')}?fieldManager=three`, {
      body: JSON.stringify({ spec: { size: '5' } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(owners(written)).toEqual([['three', 'crd.example.com/v1', '{"f:spec":{"f:size":{}}}']]);
  });

  it('are listed by one question, and found by what they are in that version', async () => {
    for (const name of ['l1', 'l2', 'l3'])
      await test.make(path('v1'), sizeNamed('v1', name, { size: name.slice(1) }));
    converter.reviews.length = 0;
    const list = await test.call('GET', `${path('v2')}?fieldSelector=spec.length%3D2`);
    expect(list.json['items']).toMatchObject([{ metadata: { name: 'l2' } }]);
    expect(converter.reviews).toHaveLength(1);
    await test.call('GET', path('v2'));
    expect(converter.reviews).toHaveLength(1);
  });

  it('are watched in each version, in order', async () => {
    const stop = new AbortController();
    const { resourceVersion } = objectOf((await test.call('GET', path('v2'))).json['metadata']);
    const lines = test.watch(`${path('v2')}?watch=1&resourceVersion=${String(resourceVersion)}`, stop.signal);
    await test.make(path('v1'), sizeNamed('v1', 'w', { size: '7' }));
    await patch(path('v1', 'w'), { spec: { size: '8' } });
    await test.call('DELETE', path('v1', 'w'));
    const seen: unknown[] = [];
    for await (const line of lines) {
      seen.push([line['type'], at(line['object'], 'apiVersion'), at(line['object'], 'spec.length')]);
      if (seen.length === 3) break;
    }
    stop.abort();
    expect(seen).toEqual([
      ['ADDED', 'crd.example.com/v2', 7],
      ['MODIFIED', 'crd.example.com/v2', 8],
      ['DELETED', 'crd.example.com/v2', 8],
    ]);
  });

  it('are converted by a Service, too', async () => {
    await test.make('/api/v1/namespaces/default/services', {
      metadata: { name: 'converter' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    });
    const service = { namespace: 'default', name: 'converter', path: '/convert', port: converter.port };
    const webhook = { clientConfig: { url: null, service } };
    const changed = await patch(`${definitionsPath}/sizes.crd.example.com`, {
      spec: { conversion: { webhook } },
    });
    expect(changed.status).toBe(200);
    const made = await test.make(path('v2'), sizeNamed('v2', 's', { length: 9 }));
    expect(made).toMatchObject({ spec: { length: 9 } });
    expect(converter.reviews.length).toBeGreaterThan(0);
    await patch(`${definitionsPath}/sizes.crd.example.com`, {
      spec: { conversion: { webhook: { clientConfig: { url: converter.url, service: null } } } },
    });
  });

  it('go though nobody converts them', async () => {
    await test.make(path('v1'), sizeNamed('v1', 'g', { size: '1' }));
    converter.answer = () => 'rubbish';
    expect((await test.call('DELETE', path('v1', 'g'))).status).toBe(200);
  });
});

const refused: readonly {
  readonly name: string;
  readonly answer: ConverterServer['answer'];
  readonly want: string;
}[] = [
  {
    name: 'another uid',
    answer: (review) => withPath(convertsSize(review), 'response.uid', 'x'),
    want: 'failed: expected response.uid=',
  },
  {
    name: 'no response',
    answer: (review) => withPath(convertsSize(review), 'response', undefined),
    want: 'failed: no response provided',
  },
  {
    name: 'another kind of answer',
    answer: (review) => withPath(convertsSize(review), 'kind', 'X'),
    want: 'failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=X',
  },
  {
    name: 'a refusal',
    answer: (review) =>
      withPath(convertsSize(review), 'response.result', { status: 'Failure', message: 'no way' }),
    want: 'failed: no way',
  },
  {
    name: 'a refusal without words',
    answer: (review) => withPath(convertsSize(review), 'response.result', { status: 'Failure' }),
    want: "failed: response.result.status was 'Failure', not 'Success'",
  },
  {
    name: 'too few',
    answer: (review) => withPath(convertsSize(review), 'response.convertedObjects', []),
    want: 'returned 0 objects, expected 1',
  },
  {
    name: 'another version',
    answer: (review) => converted(review, (object) => ({ ...object, apiVersion: 'crd.example.com/v3' })),
    want: 'invalid groupVersion (expected crd.example.com/v2, received crd.example.com/v3)',
  },
  {
    name: 'another name',
    answer: (review) =>
      converted(review, (object, to) => withPath(convertSize(object, to), 'metadata.name', 'z')),
    want: 'must have the same name: r != z',
  },
  {
    name: 'another uid of the object',
    answer: (review) =>
      converted(review, (object, to) => withPath(convertSize(object, to), 'metadata.uid', 'z')),
    want: 'must have the same UID: ',
  },
  {
    name: 'labels that are none',
    answer: (review) =>
      converted(review, (object, to) => withPath(convertSize(object, to), 'metadata.labels', { a: 1 })),
    want: 'metadata.labels[a] must be a string',
  },
  { name: 'no JSON', answer: () => '<html>', want: 'failed: ' },
];

describe('a converter that answers', () => {
  beforeAll(() => test.make(path('v1'), sizeNamed('v1', 'r', { size: '1' })));

  it.each(refused)('$name is told of, and not believed', async ({ answer, want }) => {
    converter.answer = answer;
    // Another generation of the definition: nothing is known of what was converted before.
    await patch(`${definitionsPath}/sizes.crd.example.com`, {
      spec: { names: { categories: [`c${Math.random().toString(36).slice(2, 8)}`] } },
    });
    const deadline = AbortSignal.timeout(150_000);
    let got = await test.call('GET', path('v2', 'r'));
    while (got.status === 200 && !deadline.aborted) got = await test.call('GET', path('v2', 'r'));
    expect(got.status).toBe(500);
    expect(got.json['message']).toContain('conversion webhook for crd.example.com/v1, Kind=Size ');
    expect(got.json['message']).toContain(want);
  });

  it('labels and annotations of its own is believed, and nothing else of the metadata', async () => {
    converter.answer = (review) =>
      converted(review, (object, to) => ({
        ...convertSize(object, to),
        metadata: { ...objectOf(object['metadata']), labels: { by: 'hook' }, finalizers: ['example.com/x'] },
      }));
    await test.make(path('v1'), sizeNamed('v1', 'm', { size: '1' }));
    const got = await test.call('GET', path('v2', 'm'));
    expect(got.json['metadata']).toMatchObject({ labels: { by: 'hook' } });
    expect(at(got.json, 'metadata.finalizers')).toBeUndefined();
  });
});
