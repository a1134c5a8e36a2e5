/** Somebody who may little tries to be somebody else, or to do more: by what they send, what they write, and whom they ask through. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import {
  podNamed,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';

let test: TestServer;
let token = '';
let ca = '';
beforeAll(async () => {
  test = await startTestServer();
  ca = test.server.caCertPem;
  for (const name of ['default', 'low']) await test.make(`${ns}/serviceaccounts`, { metadata: { name } });
  const { json } = await test.call('POST', `${ns}/serviceaccounts/low/token`, { body: { spec: {} } });
  token = String(json['status']?.['token']);
  await test.make(`${ns}/secrets`, { metadata: { name: 's' }, stringData: { a: 'hidden' } });
  await test.make('/api/v1/nodes', { metadata: { name: 'a' } });
  await test.make('/api/v1/nodes', { metadata: { name: 'b' } });
  for (const [name, node] of [
    ['pa', 'a'],
    ['pb', 'b'],
  ] as const)
    await test.make(
      `${ns}/pods`,
      podNamed(name, { spec: { nodeName: node, containers: [{ name: 'c', image: 'i' }] } }),
    );
  await grant('reader', [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] }]);
  await grant('roler', [
    { apiGroups: [apiGroup], resources: ['*'], verbs: ['get', 'create', 'update', 'patch'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
  ]);
});
afterAll(() => test[Symbol.asyncDispose]());

async function grant(name: string, rules: readonly object[]): Promise<void> {
  await test.make(`${rbac}/clusterroles`, { metadata: { name }, rules });
  await test.make(`${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name },
    subjects: [{ apiGroup, kind: 'User', name }],
  });
}

/** As that user, who is an administrator's to be. */
function as(
  user: string,
  method: string,
  path: string,
  { body, type, groups }: { readonly body?: unknown; readonly type?: string; readonly groups?: string } = {},
): Promise<Answer> {
  const headers = {
    'impersonate-user': user,
    ...(groups === undefined ? {} : { 'impersonate-group': groups }),
    ...(type === undefined ? {} : { 'content-type': type }),
  };
  return test.call(method, path, { headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const question = '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}';
const low = 'system:serviceaccount:default:low';

/** Sends raw lines of HTTP/1.1, by the token of the account, and reads all that comes. */
async function raw(lines: readonly string[], head = `POST ${review} HTTP/1.1`): Promise<string> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: test.server.ports[0] ?? 0,
    ca,
    servername: 'localhost',
  });
  socket.on('error', () => undefined); // Being cut off is an answer, too.
  socket.write(
    `${head}\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\nconnection: close\r\n` +
      `${lines.join('\r\n')}\r\ncontent-length: ${question.length}\r\n\r\n${question}`,
  );
  return text(socket);
}

describe('headers of HTTP/1.1', () => {
  it('the account is itself', async () => {
    expect(await raw(['x: y'])).toContain(low);
  });

  it.each([
    ['another user', 'Impersonate-User: admin'],
    ['another user, in capitals', 'IMPERSONATE-USER: admin'],
    ['a tab for a space', 'Impersonate-User:\tadmin'],
    ['a space before the colon', 'Impersonate-User : admin'],
    ['an underscore', 'Impersonate_User: admin'],
    ['a group alone', 'Impersonate-Group: system:masters'],
    ['a uid alone', 'Impersonate-Uid: 0'],
    ['an extra alone', 'Impersonate-Extra-scopes: all'],
    ['nobody with a group', 'Impersonate-User: \r\nImpersonate-Group: system:masters'],
    ['itself with a group', `Impersonate-User: ${low}\r\nImpersonate-Group: system:masters`],
    ['itself first, another then', `Impersonate-User: ${low}\r\nImpersonate-User: admin`],
    ['a proxy in front', 'X-Remote-User: admin\r\nX-Remote-Group: system:masters'],
    ['a proxy with underscores', 'X_Remote_User: admin\r\nX_Remote_Group: system:masters'],
    ['a folded line', 'x: y\r\n Impersonate-User: admin'],
    ['a line that ends by LF', 'x: y\nImpersonate-User: admin'],
    ['a line that ends by CR', 'x: y\rImpersonate-User: admin'],
    ['a zero byte', 'x: y\0\r\nImpersonate-User: admin'],
    ['a second token', 'Authorization: Bearer x'],
    ['another length', 'content-length: 3'],
    ['a length and chunks', 'transfer-encoding: chunked'],
    ['chunks that are none', 'transfer-encoding: xchunked'],
  ])('%s changes nobody', async (_name, line) => {
    const answer = await raw([line]);
    const user = /"username":"([^"]*)"/.exec(answer)?.[1];
    expect(user === undefined || user === low, answer).toBe(true);
    expect(answer).not.toContain('masters"');
    if (user === undefined) expect(answer).toMatch(/^HTTP\/1\.1 (?:400|401|403) |^$/);
  });

  it.each([
    `GET https://x${ns}/secrets/s HTTP/1.1`,
    `GET //api/v1/namespaces/default/secrets/s HTTP/1.1`,
    `GET /healthz/../api/v1/namespaces/default/secrets/s HTTP/1.1`,
    `GET /api/v1/namespaces/default/secrets/./s HTTP/1.1`,
    `GET /api/v1/namespaces/default/secrets/s%00 HTTP/1.1`,
    `GET /api/v1/namespaces/default/pods/pa%2f..%2f..%2fsecrets%2fs HTTP/1.1`,
    `GET /api/v1/proxy/namespaces/default/secrets/s HTTP/1.1`,
    `GET /api/v1/watch/namespaces/default/secrets/s HTTP/1.1`,
    `GET /version#/../api/v1/namespaces/default/secrets/s HTTP/1.1`,
    `HEAD ${ns}/secrets/s HTTP/1.1`,
    `OPTIONS ${ns}/secrets/s HTTP/1.1`,
    `TRACE ${ns}/secrets/s HTTP/1.1`,
    `CONNECT ${ns}/secrets/s HTTP/1.1`,
  ])('%s shows no Secret', async (line) => {
    const answer = await raw(['x: y'], line);
    expect(answer).not.toContain(Buffer.from('hidden').toString('base64'));
    expect(answer).not.toMatch(/^HTTP\/1\.1 200 [^]*"kind":"Secret/);
  });
});

it('headers of HTTP/2 change nobody', async () => {
  const session = connectHttp2(`https://127.0.0.1:${test.server.ports[0]}`, { ca, servername: 'localhost' });
  for (const [name, value] of [
    ['impersonate-user', 'admin'],
    ['impersonate_user', 'admin'],
    ['x-remote-user', 'admin'],
    ['impersonate-group', 'system:masters'],
    ['impersonate-extra-a', 'b'],
  ] as const) {
    const stream = session.request({
      ...{ ':method': 'POST', ':path': review, authorization: `Bearer ${token}` },
      ...{ 'content-type': 'application/json', [name]: value },
    });
    stream.end(question);
    const [head] = await once(stream, 'response');
    const answer = await text(stream);
    if (head[':status'] === 201) expect(answer).toContain(`"username":"${low}"`);
    else expect([400, 401, 403]).toContain(head[':status']);
  }
  session.destroy();
});

describe('who may read', () => {
  it.each(['exec?command=sh', 'attach', 'portforward?ports=1'])('may not %s by GET', async (what) => {
    const answer = await as('reader', 'GET', `${ns}/pods/pa/${what}`);
    expect([answer.status, answer.json['message']]).toEqual([403, 'pods "pa" is forbidden: ']);
  });

  it('may not exec by an upgrade, though the log is theirs', async () => {
    const kubeconfig = test.server.adminKubeconfig('https://localhost');
    const { clientCert, clientKey } = parseKubeconfig(kubeconfig, { directory: '/' });
    const inline = (source: typeof clientCert): string => (source.kind === 'inline' ? source.text : '');
    const ask = async (path: string): Promise<string> => {
      const socket = tls.connect({
        ...{ host: '127.0.0.1', port: test.server.ports[0] ?? 0, ca, servername: 'localhost' },
        ...{ cert: inline(clientCert), key: inline(clientKey) },
      });
      socket.on('error', () => undefined);
      socket.write(
        `GET ${ns}/pods/pa/${path} HTTP/1.1\r\nhost: x\r\nImpersonate-User: reader\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
          'Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n',
      );
      const [first] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return first.toString();
    };
    expect(await ask('exec?command=sh&stdout=true')).toMatch(/^HTTP\/1\.1 403 /);
    expect(await ask('log')).not.toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe('who may write roles', () => {
  const secrets = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
  const aggregated = { labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } };
  const everything = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
  const apply = 'application/apply-patch+yaml';
  const merge = 'application/merge-patch+json';
  const role = { apiVersion: `${apiGroup}/v1`, kind: 'ClusterRole' };
  it.each<[name: string, method: string, path: string, body: unknown, type?: string]>([
    ['by a role', 'POST', 'clusterroles', { metadata: { name: 'x' }, rules: secrets }],
    [
      'by a part of another',
      'POST',
      'clusterroles',
      { metadata: { name: 'x', ...aggregated }, rules: secrets },
    ],
    [
      'by gathering others',
      'POST',
      'clusterroles',
      { metadata: { name: 'x' }, aggregationRule: { clusterRoleSelectors: [{ matchLabels: {} }] } },
    ],
    ['by a label of what is more', 'PATCH', 'clusterroles/cluster-admin', { metadata: aggregated }, merge],
    [
      'by a label of a binding',
      'PATCH',
      'clusterrolebindings/cluster-admin',
      { metadata: { labels: { a: 'b' } } },
      merge,
    ],
    ['by its own role', 'PATCH', 'clusterroles/roler', { rules: everything }, merge],
    [
      'by applying',
      'PATCH',
      'clusterroles/y?fieldManager=m',
      { ...role, metadata: { name: 'y' }, rules: secrets },
      apply,
    ],
    ['by a PUT', 'PUT', 'clusterroles/roler', { ...role, metadata: { name: 'roler' }, rules: everything }],
    [
      'by a binding',
      'POST',
      'clusterrolebindings',
      {
        metadata: { name: 'x' },
        roleRef: { apiGroup, kind: 'ClusterRole', name: 'cluster-admin' },
        subjects: [{ apiGroup, kind: 'User', name: 'roler' }],
      },
    ],
    [
      'by a binding in a namespace',
      'POST',
      'namespaces/default/rolebindings',
      {
        metadata: { name: 'x' },
        roleRef: { apiGroup, kind: 'ClusterRole', name: 'reader' },
        subjects: [{ apiGroup, kind: 'User', name: 'roler' }],
      },
    ],
    [
      'by another subject of a binding',
      'PATCH',
      'clusterrolebindings/cluster-admin',
      { subjects: [{ apiGroup, kind: 'User', name: 'roler' }] },
      merge,
    ],
  ])('gets no more %s', async (_name, method, path, body, type = 'application/json') => {
    const answer = await as('roler', method, `${rbac}/${path}`, { body, type });
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('forbidden')]);
  });

  it('lets the garbage collector have its fields', async () => {
    const body = { metadata: { finalizers: ['example.com/x'] } };
    const path = `${rbac}/clusterroles/cluster-admin`;
    expect((await as('roler', 'PATCH', path, { body, type: merge })).status).toBe(200);
  });

  it('gives what they have', async () => {
    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }];
    const body = { metadata: { name: 'own' }, rules };
    expect(
      (await as('roler', 'POST', `${rbac}/clusterroles`, { body, type: 'application/json' })).status,
    ).toBe(201);
  });
});

describe('a node', () => {
  const json = 'application/json';
  const merge = 'application/merge-patch+json';
  it.each<[method: string, path: string, body?: unknown, type?: string]>([
    ['GET', '/api/v1/secrets'],
    ['GET', `${ns}/secrets`],
    ['GET', `${ns}/secrets?watch=true`],
    ['GET', `${ns}/secrets?fieldSelector=metadata.name%3Ds`],
    ['GET', `${ns}/secrets?fieldSelector=metadata.name%3Ds&watch=true`],
    ['GET', `${ns}/secrets/s`],
    ['GET', '/api/v1/pods'],
    ['GET', `/api/v1/pods?fieldSelector=spec.nodeName%3Db`],
    ['GET', `${ns}/pods/pb`],
    ['DELETE', `${ns}/pods/pb`],
    ['DELETE', `${ns}/pods`],
    ['PATCH', `${ns}/pods/pb/status`, { status: { phase: 'Failed' } }, merge],
    ['PATCH', `${ns}/pods/pa`, { metadata: { labels: { a: 'b' } } }, merge],
    [
      'PATCH',
      `${ns}/pods/pa/ephemeralcontainers`,
      { spec: { ephemeralContainers: [{ name: 'e', image: 'i' }] } },
      merge,
    ],
    [
      'PATCH',
      `${ns}/pods/pa/resize`,
      { spec: { containers: [{ name: 'c', resources: { limits: { cpu: '1' } } }] } },
      merge,
    ],
    ['POST', `${ns}/pods/pb/eviction`, { metadata: { name: 'pb' } }, json],
    ['POST', `${ns}/pods/pb/exec?command=sh`],
    ['POST', `${ns}/pods`, podNamed('mine'), json],
    ['PATCH', '/api/v1/nodes/b/status', { status: { phase: 'x' } }, merge],
    ['PATCH', '/api/v1/nodes/a', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } }, merge],
    [
      'PATCH',
      '/api/v1/nodes/a',
      { metadata: { labels: { 'node-restriction.kubernetes.io/x': 'y' } } },
      merge,
    ],
    [
      'PATCH',
      '/api/v1/nodes/a',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'y' }] } },
      merge,
    ],
    ['GET', '/api/v1/nodes/b/proxy/pods'],
    ['GET', '/api/v1/nodes/a/proxy/pods'],
    ['POST', `${ns}/serviceaccounts/low/token`, { spec: {} }, json],
    [
      'POST',
      `${ns}/serviceaccounts/default/token`,
      { spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'pb', uid: 'x' } } },
      json,
    ],
    [
      'POST',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases',
      { metadata: { name: 'b' } },
      json,
    ],
  ])('may not %s %s', async (method, path, body, type) => {
    const answer = await as('system:node:a', method, path, {
      ...{ groups: 'system:nodes' },
      ...(body === undefined ? {} : { body }),
      ...(type === undefined ? {} : { type }),
    });
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('orbidden')]);
  });
});

it('a namespace that is restricted is so by every way into a pod', async () => {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await test.make('/api/v1/namespaces', { metadata: { name: 'tight', labels } });
  await test.make('/api/v1/namespaces/tight/serviceaccounts', { metadata: { name: 'default' } });
  const within = '/api/v1/namespaces/tight/pods';
  const securityContext = {
    ...{ allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1000 },
    ...{ capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } },
  };
  await test.make(within, {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i', securityContext }] },
  });
  const privileged = { name: 'e', image: 'i', securityContext: { privileged: true } };
  for (const [method, path, body, type] of [
    [
      'POST',
      within,
      { metadata: { name: 'q' }, spec: { containers: [{ ...privileged, name: 'c' }] } },
      'application/json',
    ],
    [
      'PATCH',
      `${within}/p/ephemeralcontainers`,
      { spec: { ephemeralContainers: [privileged] } },
      'application/strategic-merge-patch+json',
    ],
    [
      'PATCH',
      `${within}/p/ephemeralcontainers`,
      { spec: { ephemeralContainers: [privileged] } },
      'application/merge-patch+json',
    ],
    [
      'PATCH',
      `${within}/q?fieldManager=m`,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'q' },
        spec: { containers: [{ ...privileged, name: 'c' }] },
      },
      'application/apply-patch+yaml',
    ],
  ] as const) {
    const answer = await test.call(method, path, {
      headers: { 'content-type': type },
      body: JSON.stringify(body),
    });
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('violates PodSecurity')]);
  }
});
