import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const refused = (expression: string, why: string): string =>
  `ValidatingAdmissionPolicy.admissionregistration.k8s.io "pp" is invalid: spec.validations[0].messageExpression: Invalid value: ${JSON.stringify(expression)}: ${why}`;
const dyn = 'must evaluate to string but got dyn';

/** What a 1.36.2 made of message expressions, of a ConfigMap that is created: a text, FAILED where it could not be told, or why the policy is refused. */
const observed: readonly (readonly [expression: string, want: string])[] = [
  ['string(request.options)', 'FAILED'],
  ['request.options.kind', refused('request.options.kind', dyn)],
  ['string(request.dryRun)', 'true'],
  ['request.userInfo.uid', 'FAILED'],
  ['request.requestKind.kind', 'ConfigMap'],
  ['request.requestResource.resource', 'configmaps'],
  ['request.requestSubResource', 'FAILED'],
  [
    'request.uid',
    refused(
      'request.uid',
      "compilation failed: ERROR: <input>:1:8: undefined field 'uid'\n | request.uid\n | .......^",
    ),
  ],
  ['request.namespace', 'pol'],
  ['request.name', 'v1'],
  ['request.operation', 'CREATE'],
  ['request.userInfo.groups[0]', 'system:masters'],
  ['string(oldObject == null)', 'true'],
  [
    'string(params == null)',
    refused(
      'string(params == null)',
      "compilation failed: ERROR: <input>:1:8: undeclared reference to 'params' (in container '')\n | string(params == null)\n | .......^",
    ),
  ],
  ['namespaceObject.metadata.name', 'pol'],
  ['string(has(namespaceObject.status))', 'true'],
  ['object.metadata.uid', refused('object.metadata.uid', dyn)],
  ['string(has(object.metadata.managedFields))', 'true'],
  ['string(has(object.metadata.creationTimestamp))', 'true'],
  ['object.kind + object.apiVersion', refused('object.kind + object.apiVersion', dyn)],
];

describe('message expressions, as observed', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'pol', labels: { env: 'prod' } } });
    await test.make(`${group}/validatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'pp', validationActions: ['Deny'] },
    });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(observed)('%s', async (messageExpression, want) => {
    await test.call('DELETE', `${group}/validatingadmissionpolicies/pp`);
    const made = await test.call('POST', `${group}/validatingadmissionpolicies`, {
      body: {
        metadata: { name: 'pp' },
        spec: {
          matchConstraints: {
            resourceRules: [
              { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
            ],
          },
          validations: [{ expression: 'false', message: 'FAILED', messageExpression }],
        },
      },
    });
    if (made.status !== 201) return expect(made.json['message']).toBe(want);
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'v1' }, data: { a: '1' } };
    const { json } = await test.call('POST', '/api/v1/namespaces/pol/configmaps?dryRun=All', { body });
    expect(String(json['message']).replace(/^.* denied request: /, '')).toBe(want);
  });

  it('has no namespace of a Namespace', async () => {
    await test.call('DELETE', `${group}/validatingadmissionpolicies/pp`);
    await test.make(`${group}/validatingadmissionpolicies`, {
      metadata: { name: 'pp' },
      spec: {
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: [''],
              apiVersions: ['v1'],
              operations: ['CREATE', 'UPDATE'],
              resources: ['namespaces'],
            },
          ],
        },
        validations: [{ expression: 'namespaceObject == null', message: 'there is one' }],
      },
    });
    const body = { metadata: { name: 'other' } };
    expect((await test.call('POST', '/api/v1/namespaces', { body })).status).toBe(201);
    const labelled = { metadata: { name: 'pol', labels: { env: 'test' } } };
    expect((await test.call('PUT', '/api/v1/namespaces/pol', { body: labelled })).status).toBe(200);
  });
});
