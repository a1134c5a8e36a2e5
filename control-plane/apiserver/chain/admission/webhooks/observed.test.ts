import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { startHookServer, type HookServer } from './hook-server.fixture.ts';

/*
 * Webhooks as kube-apiserver 1.36.2 was observed to call them, and what it answered (section 6 of the observations).
 */

const base = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/pol/configmaps';
const rules = [
  {
    apiGroups: [''],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    resources: ['configmaps'],
  },
];

let test: TestServer;
let hooks: HookServer;
beforeAll(async () => {
  hooks = await startHookServer();
  test = await startTestServer({ mayDial: () => true });
  await test.make('/api/v1/namespaces', { metadata: { name: 'pol', labels: { env: 'prod' } } });
  await test.make('/api/v1/namespaces/pol/services', {
    ...{ metadata: { name: 'hook' }, spec: { ports: [{ port: 443, targetPort: hooks.port }] } },
  });
  await test.make('/apis/discovery.k8s.io/v1/namespaces/pol/endpointslices', {
    metadata: { name: 'hook', labels: { 'kubernetes.io/service-name': 'hook' } },
    addressType: 'IPv4',
    ports: [{ port: hooks.port, name: '' }],
    endpoints: [{ addresses: ['192.0.2.9'] }],
  });
  // No client may name this host: it is written past the server.
  const key = '/registry/endpointslices/pol/hook';
  await test.server.store.update(key, (current) => {
    const text = Buffer.from(current?.value ?? []).toString();
    return {
      expect: [],
      ops: [{ op: 'put', key, value: Buffer.from(text.replace('192.0.2.9', '127.0.0.1')) }],
    };
  });
  await test.make('/api/v1/namespaces/pol/services', {
    ...{ metadata: { name: 'ext' }, spec: { type: 'ExternalName', externalName: 'no.such.invalid' } },
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await hooks[Symbol.asyncDispose]();
});

beforeEach(async () => {
  hooks.clear();
  await test.call('DELETE', `${base}/validatingwebhookconfigurations/w`);
  await test.call('DELETE', `${base}/mutatingwebhookconfigurations/w`);
  await test.call('DELETE', `${maps}/x1`);
  hooks.clear();
});

type Sort = 'validating' | 'mutating';

/** Whatever the observation says of a hook; `path` is short for a URL at the server of hooks. */
interface Given extends JsonObject {
  readonly path?: string;
}

async function configure(sort: Sort, ...given: readonly Given[]): Promise<void> {
  const webhooks = given.map(({ path, clientConfig, ...more }) => ({
    ...{ name: 'h.example.com', rules, sideEffects: 'None', admissionReviewVersions: ['v1'] },
    namespaceSelector: { matchLabels: { env: 'prod' } },
    clientConfig:
      path === undefined
        ? { caBundle: hooks.caBundle, ...(clientConfig as object) }
        : { url: `https://127.0.0.1:${hooks.port}${path}`, caBundle: hooks.caBundle },
    ...more,
  }));
  const kind = sort === 'validating' ? 'ValidatingWebhookConfiguration' : 'MutatingWebhookConfiguration';
  await test.make(`${base}/${kind.toLowerCase()}s`, { kind, metadata: { name: 'w' }, webhooks });
}

function write(more: JsonObject = {}, query = ''): Promise<Answer> {
  const { metadata = {}, ...rest } = more;
  const body = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } },
    ...{ metadata: { name: 'x1', ...(metadata as object) }, ...rest },
  };
  return test.call('POST', `${maps}${query}`, { body });
}

/** What a Status says, without what every one has; uids and ports as they are called in the observation. */
function said({ status, json }: Answer): unknown {
  if (status < 300) return status;
  const text = JSON.stringify({ message: json['message'], reason: json['reason'], details: json['details'] });
  const plain = text
    .replaceAll(/response\.uid=\\"[-0-9a-f]{36}/g, 'response.uid=\\"U')
    .replaceAll(`:${hooks.port}`, ':8443');
  return [status, JSON.parse(plain)];
}

const failed = (why: string): unknown => {
  const message = `failed calling webhook "h.example.com": ${why}`;
  return [
    500,
    {
      message: `Internal error occurred: ${message}`,
      reason: 'InternalError',
      details: { causes: [{ message }] },
    },
  ];
};
const broken = (message: string): unknown => [
  500,
  {
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
  },
];
const denied = (why: string, code = 400, reason?: string): unknown => [
  code,
  {
    message: `admission webhook "h.example.com" denied the request${why}`,
    ...(reason === undefined ? {} : { reason }),
  },
];
const invalid = (why: string): unknown => failed(`received invalid webhook response: ${why}`);
const uncalled = (why: string): unknown => failed(`failed to call webhook: ${why}`);
const post = (path: string, why: string): unknown => uncalled(`Post "https://${path}": ${why}`);
const unverified = 'tls: failed to verify certificate: x509: ';

describe('a validating webhook', () => {
  it.each<[string, unknown]>([
    ['/allow', 201],
    ['/deny', denied(' without explanation')],
    ['/denymsg', denied(': no thanks', 418, 'Teapot')],
    ['/denyreason', denied(': OnlyReason', 400, 'OnlyReason')],
    ['/deny400', denied(': bad')],
    ['/deny200', denied(': odd')],
    ['/audit', 201],
    ['/wronguid', invalid('expected response.uid="U", got "other"')],
    ['/nouid', invalid('expected response.uid="U", got ""')],
    ['/noresp', invalid('webhook response was absent')],
    [
      '/nokind',
      invalid('expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind='),
    ],
    [
      '/v1beta1',
      uncalled('converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion'),
    ],
    [
      '/wrongkind',
      uncalled('no kind "Pod" is registered for version "v1" in scheme "pkg/util/webhook/client.go:71"'),
    ],
    [
      '/garbage',
      uncalled(
        'couldn\'t get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
      ),
    ],
    ['/empty', uncalled('0-length response with status code: 200 and content type: application/json')],
    ['/e500', uncalled('an error on the server ("unknown") has prevented the request from succeeding')],
    ['/e404', uncalled('the server could not find the requested resource')],
    ['/patch', invalid('validating webhook may not return response.patch')],
  ])('%s', async (path, want) => {
    await configure('validating', { path });
    expect(said(await write())).toEqual(want);
    expect(hooks.calls).toHaveLength(1);
  });

  it.each(['/e500', '/garbage'])('%s with failurePolicy Ignore', async (path) => {
    await configure('validating', { path, failurePolicy: 'Ignore' });
    expect(said(await write())).toBe(201);
    expect(hooks.calls).toHaveLength(1);
  });

  it('/slow, within its time', async () => {
    await configure('validating', { path: '/slow', timeoutSeconds: 1 });
    expect(said(await write())).toEqual(post('127.0.0.1:8443/slow?timeout=1s', 'context deadline exceeded'));
  });

  it('/slow with Ignore', async () => {
    await configure('validating', { path: '/slow', timeoutSeconds: 1, failurePolicy: 'Ignore' });
    expect(said(await write())).toBe(201);
  });

  it('tells warnings', async () => {
    await configure('validating', { path: '/warn' });
    const { headers } = await write();
    expect(headers['warning']).toContain('299 - "first warning"');
    expect(headers['warning']).toContain('299 - "second \\"quoted\\" Ã¼mlaut"');
    expect(headers['warning']).toContain(`299 - "${'x'.repeat(300)}"`);
  });

  it('nobody listens', async () => {
    await configure('validating', { clientConfig: { url: 'https://127.0.0.1:1/x' } });
    const want = post('127.0.0.1:1/x?timeout=10s', 'dial tcp 127.0.0.1:1: connect: connection refused');
    expect(said(await write())).toEqual(want);
  });

  it('no caBundle', async () => {
    await configure('validating', {
      clientConfig: { url: `https://127.0.0.1:${hooks.port}/allow`, caBundle: undefined },
    });
    const why = `${unverified}certificate signed by unknown authority`;
    expect(said(await write())).toEqual(post('127.0.0.1:8443/allow?timeout=10s', why));
  });

  it('a certificate for another name', async () => {
    await configure('validating', { clientConfig: { url: `https://localhost:${hooks.port}/allow` } });
    const why = `${unverified}certificate is valid for hook.pol.svc, not localhost`;
    expect(said(await write())).toEqual(post('localhost:8443/allow?timeout=10s', why));
  });

  it('a bundle that is none', async () => {
    await configure('validating', {
      clientConfig: { url: `https://127.0.0.1:${hooks.port}/allow`, caBundle: 'AAAA' },
    });
    expect(said(await write())).toEqual(
      uncalled('unable to load root certificates: unable to parse bytes as PEM block'),
    );
  });

  it('a Service that is not there', async () => {
    await configure('validating', {
      clientConfig: { service: { namespace: 'pol', name: 'nope', path: '/allow' } },
    });
    expect(said(await write())).toEqual(
      post('nope.pol.svc:443/allow?timeout=10s', 'service "nope" not found'),
    );
  });

  it('a Service, whose certificate is for its name', async () => {
    await configure('validating', {
      clientConfig: { service: { namespace: 'pol', name: 'hook', path: '/deny' } },
    });
    expect(said(await write())).toEqual(denied(' without explanation'));
    expect(hooks.calls).toMatchObject([{ path: '/deny?timeout=10s', headers: { host: 'hook.pol.svc:443' } }]);
  });

  it('a Service without that port', async () => {
    const service = { namespace: 'pol', name: 'hook', path: '/allow', port: 8 };
    await configure('validating', { clientConfig: { service } });
    const why = 'no service port 8 found for service "hook"';
    expect(said(await write())).toEqual(post('hook.pol.svc:8/allow?timeout=10s', why));
  });

  it('a Service that is another name', async () => {
    await configure('validating', {
      clientConfig: { service: { namespace: 'pol', name: 'ext', path: '/allow' } },
    });
    const { json } = await write();
    expect(json['message']).toContain('Post "https://ext.pol.svc:443/allow?timeout=10s": dial tcp: lookup ');
  });

  it('a dry run', async () => {
    await configure('validating', { path: '/allow' });
    expect((await write({}, '?dryRun=All')).status).toBe(201);
    expect(hooks.calls).toHaveLength(1);
  });

  it.each<[string, JsonObject, unknown, number]>([
    ['is false', { matchConditions: [{ name: 'c', expression: 'object.metadata.name == "zz"' }] }, 201, 0],
    [
      'fails',
      { matchConditions: [{ name: 'c', expression: 'object.data.zz == "1"' }] },
      [
        403,
        {
          message:
            'configmaps "x1" is forbidden: expression \'object.data.zz == "1"\' resulted in error: no such key: zz',
          reason: 'Forbidden',
          details: { name: 'x1', kind: 'configmaps' },
        },
      ],
      0,
    ],
    [
      'fails, Ignore',
      { failurePolicy: 'Ignore', matchConditions: [{ name: 'c', expression: 'object.data.zz == "1"' }] },
      201,
      0,
    ],
  ])('a match condition %s', async (_name, more, want, calls) => {
    await configure('validating', { path: '/deny', ...more });
    expect(said(await write())).toEqual(want);
    expect(hooks.calls).toHaveLength(calls);
  });

  it('selectors', async () => {
    await configure('validating', { path: '/deny', objectSelector: { matchLabels: { x: 'y' } } });
    expect(said(await write({}, '?dryRun=All'))).toBe(201);
    expect(said(await write({ metadata: { labels: { x: 'y' } } }))).toEqual(denied(' without explanation'));
    await test.call('DELETE', `${base}/validatingwebhookconfigurations/w`);
    await configure('validating', { path: '/deny', namespaceSelector: { matchLabels: { env: 'dev' } } });
    expect(said(await write())).toBe(201);
  });

  it('denies all, and can be removed', async () => {
    const all = [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }];
    await configure('validating', { path: '/deny', rules: all, namespaceSelector: {} });
    const message = 'admission webhook "h.example.com" denied the request without explanation';
    for (const [path, body] of [
      [maps, { metadata: { name: 'x1' } }],
      ['/api/v1/namespaces', { metadata: { name: 'zz' } }],
      [
        '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } },
      ],
      ['/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'x' } }],
    ] as const) {
      expect(await test.call('POST', path, { body })).toMatchObject({ status: 400, json: { message } });
    }
    const own = await test.call('DELETE', `${base}/validatingwebhookconfigurations/w`);
    expect(own.status).toBe(200);
  });
});

describe('a mutating webhook', () => {
  it.each<[string, unknown]>([
    [
      '/badpatch',
      broken("error in remove for path: '/data/zzz': Unable to remove nonexistent key: zzz: missing value"),
    ],
    [
      '/badpatch2',
      failed(
        "received undecodable patch in webhook response: invalid character 'n' looking for beginning of object key string",
      ),
    ],
    [
      '/badpatch3',
      broken('json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string'),
    ],
    ['/nopatchtype', invalid('webhook returned response.patch but not response.patchType')],
    ['/patchdeny', denied(' without explanation')],
    ['/deny', denied(' without explanation')],
    ['/e500', uncalled('an error on the server ("unknown") has prevented the request from succeeding')],
  ])('%s', async (path, want) => {
    await configure('mutating', { path });
    expect(said(await write())).toEqual(want);
  });

  it('its patch is in, defaulted and validated', async () => {
    await configure('mutating', { path: '/patch' });
    expect((await write()).json).toMatchObject({ data: { a: '1' }, metadata: { labels: { wh: '1' } } });
  });

  it('what it makes is validated', async () => {
    await configure('mutating', { path: '/badpatch4' });
    const answer = await write();
    expect(answer).toMatchObject({ status: 422, json: { reason: 'Invalid' } });
    expect(answer.json['message']).toContain(
      'ConfigMap "x1" is invalid: data[bad key]: Invalid value: "bad key"',
    );
  });

  it('fields that nobody knows are dropped', async () => {
    await configure('mutating', { path: '/patchunk' });
    const { status, json } = await write();
    expect(status).toBe(201);
    expect(json['unknown']).toBeUndefined();
  });

  it('a patch that does not apply is no matter of failurePolicy', async () => {
    await configure('mutating', { path: '/badpatch', failurePolicy: 'Ignore' });
    expect((await write()).status).toBe(500);
  });

  it('is called again where it wishes', async () => {
    const second = { name: 'b.example.com', path: '/patchsecond' };
    await configure(
      'mutating',
      { name: 'a.example.com', path: '/patchcount', reinvocationPolicy: 'IfNeeded' },
      second,
    );
    expect((await write()).json['data']).toEqual({ a: '1', n: '3', second: 'x' });
    expect(hooks.calls.map(({ path }) => path.split('?')[0])).toEqual([
      '/patchcount',
      '/patchsecond',
      '/patchcount',
    ]);
  });

  it('is not called again where it does not', async () => {
    const second = { name: 'b.example.com', path: '/patchsecond' };
    await configure('mutating', { name: 'a.example.com', path: '/patchcount' }, second);
    expect((await write()).json['data']).toEqual({ a: '1', n: '1', second: 'x' });
    expect(hooks.calls).toHaveLength(2);
  });

  it('what it sets is nobody’s, of a create and of an apply', async () => {
    await configure('mutating', { path: '/patch' });
    const owned = (fields: JsonObject, operation: string, manager: string): object => ({
      metadata: {
        labels: { wh: '1' },
        managedFields: [
          {
            manager,
            operation,
            apiVersion: 'v1',
            fieldsType: 'FieldsV1',
            fieldsV1: fields,
            time: expect.any(String),
          },
        ],
      },
    });
    const created = await write({}, '?fieldManager=obs&dryRun=All');
    expect(created.json).toMatchObject(owned({ 'f:data': { '.': {}, 'f:a': {} } }, 'Update', 'obs'));
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x1' }, data: { a: '1' } };
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    const applied = await test.call('PATCH', `${maps}/x1?fieldManager=ap`, { body, headers });
    expect(applied.status).toBe(201);
    expect(applied.json).toMatchObject(owned({ 'f:data': { 'f:a': {} } }, 'Apply', 'ap'));
  });

  it('an apply of what is there is an update', async () => {
    await write({}, '?fieldManager=fm');
    await configure('validating', { path: '/allow' });
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x1' }, data: { c: '3' } };
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    await test.call('PATCH', `${maps}/x1?fieldManager=ap`, { body, headers });
    const [call] = hooks.calls;
    expect(call?.review).toMatchObject({
      request: {
        ...{ operation: 'UPDATE', oldObject: { data: { a: '1' } } },
        options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'ap' },
        object: {
          data: { a: '1', c: '3' },
          metadata: { managedFields: [{ manager: 'ap' }, { manager: 'fm' }] },
        },
      },
    });
  });
});
