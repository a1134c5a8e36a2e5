import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serviceAccountGroups } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import {
  podNamed,
  startTestServer,
  wholeBody,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { aggregateRoles } from './aggregate-roles.fixture.ts';

/** What ten identities were answered by a kube-apiserver 1.36.2 with Node,RBAC; `<user>` stands for who asks. */
interface Observed {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly answers: readonly {
    readonly code: number;
    readonly who: readonly string[];
    readonly text: string;
  }[];
}

const observed: readonly Observed[] = JSON.parse(
  readFileSync(new URL('matrix-observed-1.36.2.json', import.meta.url), 'utf8'),
);

const account = (namespace: string, name: string): User => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: serviceAccountGroups(namespace),
});
const identities: Readonly<Record<string, User | undefined>> = {
  anonymous: undefined,
  'sa:acc/default': account('acc', 'default'),
  'sa view': account('acc', 'viewer'),
  'sa edit': account('acc', 'editor'),
  'sa admin': account('acc', 'adminer'),
  'node a': { name: 'system:node:a', groups: ['system:nodes'] },
  'node b': { name: 'system:node:b', groups: ['system:nodes'] },
  scheduler: { name: 'system:kube-scheduler', groups: [] },
  'deployment-controller': account('kube-system', 'deployment-controller'),
  'cluster-admin': { name: 'admin', groups: ['system:masters'] },
};

/** Of these the right is as observed, and what becomes of it is another matter: why. */
const otherAnswers: Readonly<Record<string, string>> = {
  'GET /openid/v1/jwks': 'asked for JSON, ours gives it',
  'GET /api/v1/namespaces/acc/pods/pa/log': 'another error of a node without an address',
  'POST /api/v1/namespaces/acc/pods/pa/exec?command=x': 'as that',
  'GET /logs/': 'not served by either',
};

let server: TestServer;
let podUid = '';
let nodeUid = '';
beforeAll(async () => {
  server = await startTestServer();
  await fill(server);
});
afterAll(() => server[Symbol.asyncDispose]());

describe.each(observed)('$method $path', ({ method, path, body, answers }) => {
  const rows = answers.flatMap(({ who, ...answer }) => who.map((name) => ({ name, ...answer })));
  it.each(rows)('$name: $code', async ({ name, code, text }) => {
    const user = identities[name];
    const given = await ask(user, { method, path, body: placed(body) });
    const isAllowed = code !== 403;
    if (otherAnswers[`${method} ${path}`] !== undefined) {
      expect(given.status === 403).toBe(!isAllowed);
      return;
    }
    expect({ code: given.status, message: given.message }).toEqual({
      code,
      message: isAllowed ? given.message : text.replaceAll('<user>', user?.name ?? 'system:anonymous'),
    });
    if (text.startsWith('{"allowed"')) expect(given.status_).toMatchObject(JSON.parse(text));
  });
});

interface Given {
  readonly status: number;
  readonly message: string;
  readonly status_: unknown;
}

async function ask(
  user: User | undefined,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body: unknown },
): Promise<Given> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers =
    text === undefined ? {} : { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) };
  const answer =
    user === undefined
      ? await askUnknown({ method, path, headers, text })
      : await server.server
          .transport(user)
          .request({ method, path, headers, ...(text === undefined ? {} : { body: Buffer.from(text) }) })
          .then(async ({ status, body: given }) => ({
            status,
            text: Buffer.from(await wholeBody(given)).toString(),
          }));
  const json: Json | undefined = answer.text.startsWith('{') ? JSON.parse(answer.text) : undefined;
  const message = json?.['message'];
  return {
    status: answer.status,
    message: typeof message === 'string' ? message : '',
    status_: json?.['status'],
  };
}

/** Over the wire, with no certificate and no token. */
async function askUnknown({
  method,
  path,
  headers,
  text,
}: {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string | undefined;
}): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const sent = httpsRequest(
    {
      ...{ host: '127.0.0.1', port: server.server.ports[0], ca: server.server.caCertPem },
      ...{ method, path, headers, agent: false },
    },
    async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
    },
  );
  sent.on('error', reject);
  sent.end(text);
  return promise;
}

/** The uids that the observer calls U1 (of node a) and U2 (of pod pa) are those of here. */
function placed(body: unknown): unknown {
  if (body === undefined) return undefined;
  return JSON.parse(
    JSON.stringify(body).replaceAll('"U1"', `"${nodeUid}"`).replaceAll('"U2"', `"${podUid}"`),
  );
}

/** The cluster that was observed. */
async function fill({ make, call }: TestServer): Promise<void> {
  for (const name of ['acc', 'acc2']) await make('/api/v1/namespaces', { metadata: { name } });
  const core = '/api/v1/namespaces/acc';
  for (const name of ['default', 'viewer', 'editor', 'adminer'])
    await make(`${core}/serviceaccounts`, { metadata: { name } });
  for (const [name, role] of Object.entries({ viewer: 'view', editor: 'edit', adminer: 'admin' })) {
    await make('/apis/rbac.authorization.k8s.io/v1/namespaces/acc/rolebindings', {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'acc' }],
    });
  }
  for (const name of ['s-used', 's-other']) await make(`${core}/secrets`, { metadata: { name } });
  for (const name of ['c-used', 'c-other']) await make(`${core}/configmaps`, { metadata: { name } });
  await make(`${core}/persistentvolumeclaims`, {
    metadata: { name: 'pvc-used' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  for (const name of ['a', 'b']) {
    const node = await make('/api/v1/nodes', { metadata: { name } });
    if (name === 'a') nodeUid = String(node['metadata']?.['uid']);
  }
  const volumes = [
    { name: 's', secret: { secretName: 's-used' } },
    { name: 'm', configMap: { name: 'c-used' } },
    { name: 'p', persistentVolumeClaim: { claimName: 'pvc-used' } },
  ];
  const containers = [{ name: 'c', image: 'i' }];
  const pod = await make(`${core}/pods`, podNamed('pa', { spec: { nodeName: 'a', containers, volumes } }));
  podUid = String(pod['metadata']?.['uid']);
  await make(`${core}/pods`, podNamed('pb', { spec: { nodeName: 'b', containers } }));
  await make('/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', { metadata: { name: 'a' } });
  await make('/apis/storage.k8s.io/v1/csinodes', { metadata: { name: 'a' }, spec: { drivers: [] } });
  await make('/apis/apps/v1/namespaces/acc/deployments', {
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers } },
    },
  });
  await aggregateRoles(call);
}
