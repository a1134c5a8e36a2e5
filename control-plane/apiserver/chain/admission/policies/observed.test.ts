import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  deploymentNamed,
  startTestServer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

interface Call {
  readonly name: string;
  readonly method: string;
  readonly body: JsonObject | null;
  readonly code: number;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: JsonObject;
  readonly warnings?: readonly string[];
}

interface Group {
  readonly spec: JsonObject;
  readonly bindings: readonly (readonly [name: string, spec: JsonObject])[];
  readonly calls: readonly Call[];
}

const groups = JSON.parse(
  readFileSync(`${import.meta.dirname}/validating-observed-1.36.2.json`, 'utf8'),
) as readonly Group[];

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/pol/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'pol', labels: { env: 'prod' } } });
  await test.make('/api/v1/namespaces', { metadata: { name: 'pol2' } });
  await test.make('/api/v1/namespaces/pol2/configmaps', {
    metadata: { name: 'param' },
    data: { limit: '1' },
  });
  await test.make(
    '/apis/apps/v1/namespaces/pol/deployments',
    deploymentNamed('d', { selector: { matchLabels: { a: 'b' } } }),
  );
});
afterAll(() => test[Symbol.asyncDispose]());

/** Where each call went, for what is no creation of a ConfigMap in a dry run. */
function placeOf({ name, method, body }: Call): string {
  if (method === 'DELETE') return `${maps}/del`;
  if (method === 'PATCH') return '/apis/apps/v1/namespaces/pol/deployments/d/scale';
  if (name === 'other namespace not matched') return '/api/v1/namespaces/pol2/configmaps?dryRun=All';
  return JSON.stringify(body).includes('"del"') ? maps : `${maps}?dryRun=All`;
}

describe.each(groups.map((one, index) => [index, one] as const))(
  'policy %s of those that a real server was seen with',
  (_, { spec, bindings, calls }) => {
    beforeAll(async () => {
      await test.make(`${group}/validatingadmissionpolicies`, { metadata: { name: 'pp' }, spec });
      for (const [name, binding] of bindings)
        await test.make(`${group}/validatingadmissionpolicybindings`, { metadata: { name }, spec: binding });
    });
    afterAll(async () => {
      await test.call('DELETE', `${group}/validatingadmissionpolicies/pp`);
      for (const [name] of bindings)
        await test.call('DELETE', `${group}/validatingadmissionpolicybindings/${name}`);
    });

    it.each(calls.map((call) => [call.name, call] as const))('%s', async (name, call) => {
      const isPatch = call.method === 'PATCH';
      const answer = await test.call(call.method, placeOf(call), {
        ...(call.body === null ? {} : { body: isPatch ? JSON.stringify(call.body) : call.body }),
        ...(isPatch ? { headers: merge } : {}),
      });
      expect({ name, status: answer.status, text: answer.text }).toMatchObject({ status: call.code });
      const { message, reason, details } = answer.json;
      const shown = (text: string | undefined): string | undefined => text?.replaceAll(/g-\w{5}/g, 'g-…');
      if (call.message !== undefined) expect(shown(String(message))).toBe(shown(call.message));
      if (call.reason !== undefined) expect(reason).toBe(call.reason);
      if (call.details !== undefined) expect(details).toEqual(call.details);
      if (call.warnings !== undefined)
        expect(answer.headers['warning']).toBe(`299 - ${call.warnings.join(', ')}`);
    });
  },
);
