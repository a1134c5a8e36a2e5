import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAudited, type AuditedServer } from './audit.fixture.ts';

const rules = `
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:apiserver]
- level: RequestResponse
  namespaces: [audit-rr]
- level: Request
  omitManagedFields: true
  namespaces: [audit-r]
- level: RequestResponse
  resources: [{ group: authentication.k8s.io }]
- level: Metadata
`;

let audited: AuditedServer;
beforeAll(async () => {
  audited = await startAudited(rules);
  for (const name of ['audit-rr', 'audit-r', 'audit-m']) {
    await audited.test.make('/api/v1/namespaces', { metadata: { name } });
  }
});
afterAll(() => audited[Symbol.asyncDispose]());

const user = { username: 'tester', groups: ['system:masters', 'system:authenticated'] };
const allowed = { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' };
const micros = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

describe('an audit event', () => {
  it('has the members that kube-apiserver writes, in its order', async () => {
    const path = '/api/v1/namespaces/audit-rr/configmaps';
    const headers = { 'user-agent': 'obs/1.0', 'audit-id': 'mine', 'x-forwarded-for': '10.99.0.1' };
    const answer = await audited.test.call('POST', `${path}?fieldManager=m&fieldValidation=Strict`, {
      body: { metadata: { name: 'a' }, data: { k: '<v>' } },
      headers,
    });
    expect(answer.headers['audit-id']).toBe('mine');
    const text = readFileSync(join(audited.directory, 'audit.log'), 'utf8').split('\n').at(-2) ?? '';
    expect(text).toContain('?fieldManager=m\\u0026fieldValidation=Strict"');
    const event = JSON.parse(text);
    const { requestReceivedTimestamp, stageTimestamp, responseObject, ...rest } = event;
    expect(requestReceivedTimestamp).toMatch(micros);
    expect(stageTimestamp).toMatch(micros);
    expect(responseObject).toEqual(answer.json);
    expect(rest).toEqual({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      auditID: 'mine',
      stage: 'ResponseComplete',
      requestURI: `${path}?fieldManager=m&fieldValidation=Strict`,
      verb: 'create',
      user,
      sourceIPs: ['10.99.0.1', '127.0.0.1'],
      userAgent: 'obs/1.0',
      objectRef: { resource: 'configmaps', namespace: 'audit-rr', name: 'a', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a' }, data: { k: '<v>' } },
      annotations: allowed,
    });
    expect(Object.keys(event)).toEqual([
      ...['kind', 'apiVersion', 'level', 'auditID', 'stage', 'requestURI', 'verb', 'user', 'sourceIPs'],
      ...['userAgent', 'objectRef', 'responseStatus', 'requestObject', 'responseObject'],
      ...['requestReceivedTimestamp', 'stageTimestamp', 'annotations'],
    ]);
  });

  it('names uid and revision of what is replaced, at Metadata too, and shows no body', async () => {
    const path = '/api/v1/namespaces/audit-m/configmaps';
    const made = await audited.test.make(path, { metadata: { name: 'b' } });
    await audited.test.call('PUT', `${path}/b`, { body: made });
    const { uid, resourceVersion } = made['metadata'] ?? {};
    const event = audited.last(`${path}/b`);
    expect(event['objectRef']).toEqual({
      ...{ resource: 'configmaps', namespace: 'audit-m', name: 'b', apiVersion: 'v1', uid, resourceVersion },
    });
    expect(event).not.toHaveProperty('requestObject');
    expect(event).not.toHaveProperty('responseObject');
  });

  it('has what a Status says, and the patch of a patch', async () => {
    const path = '/api/v1/namespaces/audit-r/configmaps';
    await audited.test.call('GET', `${path}/zz`);
    expect(audited.last(`${path}/zz`)['responseStatus']).toEqual({
      metadata: {},
      status: 'Failure',
      message: 'configmaps "zz" not found',
      reason: 'NotFound',
      details: { name: 'zz', kind: 'configmaps' },
      code: 404,
    });
    await audited.test.make(path, { metadata: { name: 'a' } });
    const headers = { 'content-type': 'application/merge-patch+json' };
    await audited.test.call('PATCH', `${path}/a`, { body: { data: { x: 'y' } }, headers });
    const event = audited.last(`${path}/a`);
    expect(event).toMatchObject({ verb: 'patch', level: 'Request', requestObject: { data: { x: 'y' } } });
    expect(event).not.toHaveProperty('responseObject');
  });

  it('tells who is refused, as whom, and who is not let in at all', async () => {
    const path = '/api/v1/namespaces/audit-m/secrets';
    const eve = { 'impersonate-user': 'eve', 'impersonate-group': 'g' };
    await audited.test.call('GET', path, { headers: eve });
    expect(audited.last(path)).toMatchObject({
      user,
      impersonatedUser: { username: 'eve', groups: ['g', 'system:authenticated'] },
      authenticationMetadata: { impersonationConstraint: 'impersonate:user-info' },
      responseStatus: { reason: 'Forbidden', code: 403 },
      annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '' },
    });
  });

  it('is written for a watch when it begins and when it ends', async () => {
    const path = '/api/v1/namespaces/audit-m/configmaps?watch=1&timeoutSeconds=1&resourceVersion=1&x=w';
    for await (const _event of audited.test.watch(path, new AbortController().signal));
    const mine = audited.lines().filter(({ requestURI }) => String(requestURI) === path);
    expect(mine.map(({ stage, verb }) => `${String(stage)} ${String(verb)}`)).toEqual([
      'ResponseStarted watch',
      'ResponseComplete watch',
    ]);
  });

  it('holds a whole list, and what a path answers', async () => {
    const path = '/api/v1/namespaces/audit-rr/configmaps';
    const answer = await audited.test.call('GET', `${path}?limit=5`);
    expect(audited.last(`${path}?limit=5`)['responseObject']).toEqual(answer.json);
    await audited.test.call('GET', '/version');
    const event = audited.last('/version');
    expect(event).toMatchObject({ verb: 'get', responseStatus: { code: 200 } });
    expect(event).not.toHaveProperty('objectRef');
  });
});

describe('no secret is recorded', () => {
  const path = '/api/v1/namespaces/audit-rr/secrets';
  const secret = 'c3Vyc3VtLWNvcmRh';

  const rows: readonly {
    readonly name: string;
    readonly method: string;
    readonly at: string;
    readonly body?: unknown;
    readonly type?: string;
    readonly accept?: string;
  }[] = [
    { name: 'create', method: 'POST', at: path, body: { metadata: { name: 's' }, data: { k: secret } } },
    {
      ...{ name: 'stringData and what kubectl keeps', method: 'PUT', at: `${path}/s` },
      body: {
        metadata: {
          name: 's',
          annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"data":{"k":"${secret}"}}` },
        },
        stringData: { k: secret },
      },
    },
    {
      ...{ name: 'merge patch', method: 'PATCH', at: `${path}/s`, type: 'application/merge-patch+json' },
      body: { data: { j: secret } },
    },
    {
      ...{ name: 'JSON patch', method: 'PATCH', at: `${path}/s`, type: 'application/json-patch+json' },
      body: [{ op: 'add', path: '/data/i', value: secret }],
    },
    { name: 'get', method: 'GET', at: `${path}/s` },
    { name: 'list', method: 'GET', at: path },
    {
      ...{ name: 'table', method: 'GET', at: `${path}?includeObject=Object` },
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    },
    { name: 'yaml', method: 'GET', at: `${path}/s`, accept: 'application/yaml' },
    { name: 'delete', method: 'DELETE', at: `${path}/s` },
  ];

  it.each(rows)('by $name', async ({ method, at, body, type, accept }) => {
    const headers = {
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(accept === undefined ? {} : { accept }),
    };
    const { status } = await audited.test.call(method, at, {
      headers,
      ...(body === undefined ? {} : { body }),
    });
    expect(status).toBeLessThan(300);
    const line = audited.lines().at(-1);
    expect(line).toMatchObject({ level: 'RequestResponse', objectRef: { resource: 'secrets' } });
    expect(line?.['responseObject']).toBeDefined();
    expect(JSON.stringify(line)).not.toContain(secret);
  });

  it('by a token that is made or looked at', async () => {
    const account = '/api/v1/namespaces/audit-rr/serviceaccounts';
    await audited.test.make(account, { metadata: { name: 'sa' } });
    const made = await audited.test.call('POST', `${account}/sa/token`, { body: {} });
    const token = String(made.json['status']?.['token']);
    expect(token.split('.')).toHaveLength(3);
    const line = audited.last(`${account}/sa/token`);
    expect(line).toMatchObject({
      objectRef: { subresource: 'token', name: 'sa' },
      responseObject: { status: { token: 'REDACTED' } },
    });
    expect(line['annotations']?.['authentication.kubernetes.io/issued-credential-id']).toMatch(
      /^JTI=[0-9a-f-]{36}$/,
    );
    const reviews = '/apis/authentication.k8s.io/v1/tokenreviews';
    await audited.test.call('POST', reviews, { body: { spec: { token } } });
    expect(audited.last(reviews)).toMatchObject({
      requestObject: { spec: { token: 'REDACTED' } },
      responseObject: { status: { authenticated: true } },
    });
    expect(JSON.stringify(audited.lines())).not.toContain(token);
  });
});
