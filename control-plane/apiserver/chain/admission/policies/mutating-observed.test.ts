import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

interface Call {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body: JsonObject;
  readonly code: number;
  readonly want: JsonObject;
}

interface Group {
  readonly policies: readonly (readonly [name: string, spec: JsonObject])[];
  readonly calls: readonly Call[];
}

const groups = JSON.parse(
  readFileSync(`${import.meta.dirname}/mutating-observed-1.36.2.json`, 'utf8'),
) as readonly Group[];

const group = '/apis/admissionregistration.k8s.io/v1';

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'pol', labels: { env: 'prod' } } });
});
afterAll(() => test[Symbol.asyncDispose]());

describe.each(groups.map((one, index) => [index, one] as const))(
  'mutation %s of those that a real server was seen with',
  (_, { policies, calls }) => {
    beforeAll(async () => {
      for (const [name, spec] of policies) {
        await test.make(`${group}/mutatingadmissionpolicies`, { metadata: { name }, spec });
        const binding = { metadata: { name: name.replace('mp', 'mb') }, spec: { policyName: name } };
        await test.make(`${group}/mutatingadmissionpolicybindings`, binding);
      }
    });
    afterAll(async () => {
      for (const [name] of policies) {
        await test.call('DELETE', `${group}/mutatingadmissionpolicies/${name}`);
        await test.call('DELETE', `${group}/mutatingadmissionpolicybindings/${name.replace('mp', 'mb')}`);
      }
    });

    it.each(calls.map((call) => [call.name, call] as const))('%s', async (_, call) => {
      const { method, path, body, code, want } = call;
      const headers = method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {};
      const sent = JSON.stringify(body);
      const answer = await test.call(method, path, { body: sent, headers });
      expect({ status: answer.status, text: answer.text }).toMatchObject({ status: code });
      const { metadata, data, ...status } = answer.json;
      if (code >= 400) expect(status).toMatchObject(want);
      else {
        const { labels, annotations, name } = metadata ?? {};
        const found = JSON.parse(JSON.stringify({ labels, annotations, name, data })) as JsonObject;
        const wanted = JSON.stringify(want).replaceAll('kubernetes-admin', 'tester');
        expect(found).toMatchObject(JSON.parse(wanted) as JsonObject);
      }
    });
  },
);
