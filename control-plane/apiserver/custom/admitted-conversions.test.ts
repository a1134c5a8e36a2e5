/** Who admits custom objects in another version than that of the request sees what their webhook makes of them; and who reads them, what it makes now. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf } from '#api/wire/json.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { converted, startConverter, type ConverterServer } from './converter.fixture.ts';
import { definitionOf, definitionsPath } from './definition.fixture.ts';

const stack = new AsyncDisposableStack();
let test: TestServer;
let server: ConverterServer;

/** v1 has spec.size as a text, v2 as a number in `spec.length`. */
function convertSize(object: JsonObject, apiVersion: string): JsonObject {
  const isNew = apiVersion === 'crd.example.com/v2';
  const size = at(object, isNew ? 'spec.size' : 'spec.length');
  return { ...object, apiVersion, spec: isNew ? { length: Number(size) } : { size: String(size) } };
}

/** What the hooks were asked, and what they do to the object; the same server converts. */
const asked: JsonObject[] = [];
let changeTo: number | undefined;
const answer: ConverterServer['answer'] = (review) => {
  if (review['kind'] === 'ConversionReview') return converted(review, convertSize);
  const request = objectOf(review['request']);
  asked.push(request);
  const patch = JSON.stringify([{ op: 'replace', path: '/spec/length', value: changeTo }]);
  const change =
    changeTo === undefined ? {} : { patchType: 'JSONPatch', patch: Buffer.from(patch).toString('base64') };
  return { ...review, request: null, response: { uid: request['uid'], allowed: true, ...change } };
};

const admission = '/apis/admissionregistration.k8s.io/v1';
const path = (version: string, name = ''): string =>
  `/apis/crd.example.com/${version}/namespaces/default/sizes${name === '' ? '' : `/${name}`}`;
const sizeNamed = (version: string, name: string, spec: object): object => ({
  apiVersion: `crd.example.com/${version}`,
  kind: 'Size',
  metadata: { name },
  spec,
});
const rule = { apiGroups: ['crd.example.com'], apiVersions: ['v2'], resources: ['sizes'], operations: ['*'] };
const hooks = (kind: string): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  metadata: { name: 'hooks' },
  webhooks: [
    {
      name: 'hook.example.com',
      clientConfig: { url: server.url, caBundle: server.caBundle },
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      rules: [rule],
    },
  ],
});
/** Waits until what the server admits by is known to it. */
const eventually = async (isSo: () => Promise<boolean>): Promise<void> => {
  const deadline = AbortSignal.timeout(150_000);
  while (!(await isSo())) deadline.throwIfAborted();
};
const makes = (size: string, more: object = {}): ReturnType<TestServer['call']> =>
  test.call('POST', `${path('v1')}?dryRun=All`, {
    body: JSON.stringify({ ...sizeNamed('v1', 'probe', { size }), ...more }),
  });

beforeAll(async () => {
  test = stack.use(await startTestServer({ mayDial: () => true }));
  server = stack.use(await startConverter(answer));
  const schema = (spec: object): object => ({
    openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec } } },
  });
  await test.make(
    definitionsPath,
    definitionOf('sizes', 'Size', {
      spec: {
        versions: [
          { name: 'v1', served: true, storage: true, schema: schema({ size: { type: 'string' } }) },
          { name: 'v2', served: true, storage: false, schema: schema({ length: { type: 'integer' } }) },
        ],
        conversion: {
          strategy: 'Webhook',
          webhook: {
            conversionReviewVersions: ['v1'],
            clientConfig: { url: server.url, caBundle: server.caBundle },
          },
        },
      },
    }),
  );
  await eventually(async () => (await test.call('GET', path('v1'))).status === 200);
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  server.answer = answer;
  changeTo = undefined;
  asked.length = 0;
});

describe('a hook of another version than the request', () => {
  beforeAll(async () => {
    await test.make(`${admission}/validatingwebhookconfigurations`, hooks('ValidatingWebhookConfiguration'));
    await eventually(async () => {
      await makes('1');
      return asked.length > 0;
    });
  });
  afterAll(() => test.call('DELETE', `${admission}/validatingwebhookconfigurations/hooks`));

  it('sees objects that were made, changed and deleted as they are converted', async () => {
    await test.make(path('v1'), sizeNamed('v1', 'a', { size: '3' }));
    await test.call('PATCH', path('v1', 'a'), {
      body: JSON.stringify({ spec: { size: '4' } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await test.call('DELETE', path('v1', 'a'));
    const seen = asked.map(({ operation, object, oldObject }) =>
      [operation, at(object, 'apiVersion'), at(object, 'spec'), at(oldObject, 'spec')].filter(Boolean),
    );
    expect(seen).toEqual([
      ['CREATE', 'crd.example.com/v2', { length: 3 }],
      ['UPDATE', 'crd.example.com/v2', { length: 4 }, { length: 3 }],
      ['DELETE', { length: 4 }],
    ]);
  });

  it('sees what is deleted, by name or with all, as the request has it', async () => {
    await test.make(path('v1'), sizeNamed('v1', 'b', { size: '5' }));
    await test.make(path('v1'), sizeNamed('v1', 'c', { size: '6' }));
    asked.length = 0;
    await test.call('DELETE', path('v2', 'b'));
    await test.call('DELETE', path('v2'));
    expect(asked.map(({ oldObject }) => [at(oldObject, 'apiVersion'), at(oldObject, 'spec')])).toEqual([
      ['crd.example.com/v2', { length: 5 }],
      ['crd.example.com/v2', { length: 6 }],
    ]);
  });

  it('is not asked about what nobody converts: the request is refused', async () => {
    server.answer = (review) => (review['kind'] === 'ConversionReview' ? 'rubbish' : answer(review));
    const refused = await makes('1');
    expect(refused.status).toBe(500);
    expect(refused.json['message']).toMatch(
      /^Internal error occurred: conversion webhook for crd.example.com\/v1, Kind=Size failed: /,
    );
    expect(asked).toEqual([]);
  });
});

it('a hook of another version changes the object in that, and it is stored as it is converted back', async () => {
  await test.make(`${admission}/mutatingwebhookconfigurations`, hooks('MutatingWebhookConfiguration'));
  await eventually(async () => {
    await makes('1');
    return asked.length > 0;
  });
  changeTo = 12;
  const made = await test.make(path('v1'), sizeNamed('v1', 'm', { size: '2' }));
  expect(made).toMatchObject({ apiVersion: 'crd.example.com/v1', spec: { size: '12' } });
  await test.call('DELETE', `${admission}/mutatingwebhookconfigurations/hooks`);
});

it('a policy of another version judges, and changes, objects as they are converted', async () => {
  const constraints = { matchConstraints: { resourceRules: [rule] } };
  await test.make(`${admission}/validatingadmissionpolicies`, {
    metadata: { name: 'short' },
    spec: { ...constraints, validations: [{ expression: 'object.spec.length < 100', message: 'too long' }] },
  });
  await test.make(`${admission}/validatingadmissionpolicybindings`, {
    metadata: { name: 'short' },
    spec: { policyName: 'short', validationActions: ['Deny'] },
  });
  await eventually(async () => (await makes('200')).status !== 201);
  expect((await makes('200')).json['message']).toContain("binding 'short' denied request: too long");
  expect((await makes('20')).status).toBe(201);

  server.answer = () => 'rubbish';
  expect((await makes('20')).json['message']).toContain(
    "binding 'short' denied request: failed to configure binding: failed to convert object version: conversion webhook for ",
  );
  server.answer = answer;

  await test.make(`${admission}/mutatingadmissionpolicies`, {
    metadata: { name: 'shorten' },
    spec: {
      ...constraints,
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: { expression: 'Object{spec: Object.spec{length: 42}}' },
        },
      ],
    },
  });
  await test.make(`${admission}/mutatingadmissionpolicybindings`, {
    metadata: { name: 'shorten' },
    spec: { policyName: 'shorten' },
  });
  await eventually(async () => at((await makes('20')).json, 'spec.size') === '42');
  await test.call('DELETE', `${admission}/mutatingadmissionpolicies/shorten`);
  await eventually(async () => at((await makes('20')).json, 'spec.size') === '20');
});

it('an object is read as its webhook converts it now', async () => {
  await test.make(path('v1'), sizeNamed('v1', 'r', { size: '7' }));
  const read = async (): Promise<unknown> =>
    at((await test.call('GET', path('v2', 'r'))).json, 'spec.length');
  const listed = async (): Promise<unknown> => {
    const list = await test.call('GET', `${path('v2')}?fieldSelector=metadata.name%3Dr`);
    return objectsOf(list.json['items']).map((each) => at(each, 'spec.length'));
  };
  server.answer = (review) =>
    converted(review, (object, to) => ({ ...convertSize(object, to), spec: { length: 0 } }));
  expect([await read(), await listed()]).toEqual([0, [0]]);
  server.answer = answer;
  expect([await read(), await listed()]).toEqual([7, [7]]);
  server.answer = () => 'rubbish';
  expect((await test.call('GET', path('v2', 'r'))).status).toBe(500);
});
