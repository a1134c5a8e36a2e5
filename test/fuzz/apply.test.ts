import { json, oneof, string, tuple } from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { fuzz } from './fuzz.ts';

const cms = '/api/v1/namespaces/default/configmaps';
const headers = { 'content-type': 'application/apply-patch+yaml' };
const config = (name: string, data: object): object => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data },
});

describe('server-side apply', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const send = (name: string, body: unknown, query = 'fieldManager=me'): Promise<Answer> =>
    test.call('PATCH', `${cms}/${name}?${query}`, { body, headers });

  fuzz('bodies that are applied', {
    arbitrary: tuple(oneof(string(), json()), oneof(string(), json())),
    check: async ([one, other]) => {
      const typed = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fuzzed","annotations":${other}},"data":${one}}`;
      for (const body of [one, typed, `apiVersion: v1\nkind: ConfigMap\ndata: ${one}`]) {
        const { status, json: answer, text } = await send('fuzzed', body, 'fieldManager=fuzz&force=true');
        const isTold = status < 500 || text.includes('failed to create typed patch object');
        expect(isTold, `${status} ${text}`).toBe(true);
        if (status >= 400) expect(answer['kind']).toBe('Status');
      }
    },
  });

  fuzz('sets of fields that clients write', {
    arbitrary: json(),
    check: async (text) => {
      const fieldsV1: unknown = JSON.parse(text);
      const entry = {
        ...{ manager: 'x', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1 },
      };
      const body = { ...config('owned', { a: 'b' }), metadata: { name: 'owned', managedFields: [entry] } };
      const answers = [
        await send('owned', config('owned', { a: 'b' })),
        await test.call('PUT', `${cms}/owned`, { body }),
        await send('owned', config('owned', { a: 'c' }), 'fieldManager=other&force=true'),
      ];
      for (const { status, text: told } of answers) expect(status, told).toBeLessThan(500);
    },
  });
});
