import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { configMaps } from '#api/schema/kind-ref.ts';
import { createApiClient, type ApiClientOptions } from './api-client.ts';
import { apiFailureOf, isConflict, isTooManyRequests } from './api-error.ts';
import type { ApiClient } from './client.ts';
import type { TransportRequest, TransportResponse } from './transport.ts';

type Answer = Partial<Omit<TransportResponse, 'body'>> & { readonly body?: unknown };

/** A client whose server gives these answers, the last one ever after. */
function clientOf(answers: readonly Answer[], options: Partial<ApiClientOptions> = {}) {
  const asked: TransportRequest[] = [];
  const transport = {
    request: async (request: TransportRequest): Promise<TransportResponse> => {
      const {
        status = 200,
        headers = {},
        body = {},
      } = answers[Math.min(asked.length, answers.length - 1)] ?? {};
      asked.push(request);
      return { status, headers, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { client: createApiClient({ transport, userAgent: 'tester/1', ...options }), asked };
}

const where = { namespace: 'n', name: 'm' };

it.each<[name: string, call: (client: ApiClient) => Promise<unknown>]>([
  ['get', (client) => client.get(configMaps, { name: 'm' })],
  ['create', (client) => client.create(configMaps, { metadata: { name: 'm' } })],
  ['update', (client) => client.update(configMaps, { metadata: { name: 'm' } })],
  ['patch', (client) => client.patch(configMaps, { name: 'm' }, { kind: 'merge', body: {} })],
  ['apply', (client) => client.apply(configMaps, { metadata: { name: 'm' } }, { fieldManager: 'f' })],
  ['delete', (client) => client.delete(configMaps, { name: 'm', namespace: '' })],
])('%s of an object without its namespace asks nobody', async (_name, call) => {
  const { client, asked } = clientOf([{}]);
  await expect(call(client)).rejects.toThrow(/^find configmaps.*no namespace was given/);
  expect(asked).toEqual([]);
});

it('apply sends the object with manager, force and dry run', async () => {
  const { client, asked } = clientOf([{}]);
  await client.apply(
    configMaps,
    { metadata: where, data: { a: '1' } },
    { fieldManager: 'me & you', force: true, dryRun: true },
  );
  expect(asked[0]).toMatchObject({
    method: 'PATCH',
    path: '/api/v1/namespaces/n/configmaps/m?dryRun=All&fieldManager=me%20%26%20you&force=true',
    headers: { 'content-type': 'application/apply-patch+yaml', 'user-agent': 'tester/1' },
  });
  expect(JSON.parse(String(asked[0]?.body))).toEqual({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: where,
    data: { a: '1' },
  });
});

it('every write carries the manager of the client, or its own', async () => {
  const { client, asked } = clientOf([{}], { fieldManager: 'op' });
  await client.create(configMaps, { metadata: where });
  await client.update(configMaps, { metadata: where }, { fieldManager: 'other', fieldValidation: 'Strict' });
  await client.patch(configMaps, where, { kind: 'merge', body: {} });
  expect(asked.map(({ path }) => path.split('?')[1])).toEqual([
    'fieldManager=op',
    'fieldManager=other&fieldValidation=Strict',
    'fieldManager=op',
  ]);
});

it('asks as somebody else, watches and streams too', async () => {
  const { client, asked } = clientOf([{ body: '' }], { impersonate: { user: 'jane', groups: ['a', 'b'] } });
  await client.get(configMaps, where).catch(() => undefined);
  await Array.fromAsync(client.watch(configMaps, {}, new AbortController().signal));
  await Array.fromAsync(client.stream('/logs', new AbortController().signal));
  for (const { headers } of asked)
    expect(headers).toMatchObject({ 'impersonate-user': 'jane', 'impersonate-group': ['a', 'b'] });
  expect(asked).toHaveLength(3);
});

it('tells of warnings, of refusals too', async () => {
  const warnings: string[] = [];
  const headers = { warning: '299 - "old", 299 - "odd"' };
  const { client } = clientOf([{ status: 404, headers }], { onWarning: (text) => warnings.push(text) });
  await client.get(configMaps, where).catch(() => undefined);
  expect(warnings).toEqual(['old', 'odd']);
});

it('asks a busy server again after the time that it says, as often as it may', async () => {
  const clock = createFakeClock();
  const waits: number[] = [];
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const busy = { status: 429, headers: { 'retry-after': '2' } };
  const options = { busyRetries: { triesMax: 2, clock: { ...clock, sleep } } };
  const patient = clientOf([busy, busy, { body: { data: { a: '1' } } }], options);
  expect((await patient.client.get(configMaps, where)).data).toEqual({ a: '1' });
  expect(waits).toEqual([2000, 2000]);
  const never = clientOf([busy], options);
  await expect(never.client.get(configMaps, where)).rejects.toSatisfy(isTooManyRequests);
  expect(never.asked).toHaveLength(3);
  const plain = clientOf([busy]);
  await expect(plain.client.get(configMaps, where)).rejects.toThrow();
  expect(plain.asked).toHaveLength(1);
});

it('a refusal is one value: reason, code, message, causes', async () => {
  const causes = [{ reason: 'FieldManagerConflict', field: '.data.a', message: 'conflict with "b"' }];
  const body = {
    kind: 'Status',
    reason: 'Conflict',
    code: 409,
    message: 'Apply failed',
    details: { causes, retryAfterSeconds: 1 },
  };
  const { client } = clientOf([{ status: 409, body }]);
  const error: unknown = await client
    .apply(configMaps, { metadata: where }, { fieldManager: 'a' })
    .catch((thrown) => thrown);
  expect(isConflict(error)).toBe(true);
  expect(apiFailureOf(error)).toEqual({
    reason: 'Conflict',
    code: 409,
    message: 'Apply failed',
    causes,
    retryAfterSeconds: 1,
  });
  expect(apiFailureOf(new Error('else'))).toBeUndefined();
});
