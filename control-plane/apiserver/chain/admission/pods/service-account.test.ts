import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, objectsOf } from '#api/wire/json.ts';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const path = '/api/v1/namespaces/sa';
const enforced = { 'kubernetes.io/enforce-mountable-secrets': 'True' };
const accounts = [
  { metadata: { name: 'default' } },
  { metadata: { name: 'pulls' }, imagePullSecrets: [{ name: 'p1' }, { name: 'p2' }] },
  { metadata: { name: 'bare' }, automountServiceAccountToken: false },
  {
    metadata: { name: 'strict', annotations: enforced },
    secrets: [{ name: 'mine' }],
    imagePullSecrets: [{ name: 'pull' }],
  },
];
const container = { name: 'c', image: 'i' };
const variable = (name: string): object => ({
  ...container,
  env: [{ name: 'A', valueFrom: { secretKeyRef: { name, key: 'k' } } }],
});
const mirror = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' };
const notHis = 'is not allowed because service account strict does not reference that secret';

/** Words of plugin/pkg/admission/serviceaccount of Kubernetes 1.36; undefined: taken. */
const rows: readonly {
  readonly name: string;
  readonly spec: object;
  readonly annotations?: object;
  readonly want?: string;
}[] = [
  { name: 'nothing', spec: {} },
  {
    name: 'an account that is not there',
    spec: { serviceAccountName: 'x' },
    want: 'error looking up service account sa/x: serviceaccount "x" not found',
  },
  { name: 'any secret of an account that does not mind', spec: { containers: [variable('any')] } },
  {
    name: 'secrets that the account lists',
    spec: {
      serviceAccountName: 'strict',
      containers: [variable('mine')],
      volumes: [{ name: 'v', secret: { secretName: 'mine' } }],
      imagePullSecrets: [{ name: 'pull' }],
    },
  },
  {
    name: 'a volume of another secret',
    spec: { serviceAccountName: 'strict', volumes: [{ name: 'v', secret: { secretName: 'x' } }] },
    want: `volume with secret.secretName="x" ${notHis}`,
  },
  {
    name: 'a variable of another secret',
    spec: { serviceAccountName: 'strict', containers: [variable('x')] },
    want: `container c with envVar A referencing secret.secretName="x" ${notHis}`,
  },
  {
    name: 'a variable of another secret in an init container',
    spec: { serviceAccountName: 'strict', initContainers: [{ ...variable('x'), name: 'i' }] },
    want: `init container i with envVar A referencing secret.secretName="x" ${notHis}`,
  },
  {
    name: 'another pull secret',
    spec: { serviceAccountName: 'strict', imagePullSecrets: [{ name: 'pull' }, { name: 'x' }] },
    want: 'imagePullSecrets[1].name="x" is not allowed because service account strict does not reference that imagePullSecret',
  },
  {
    name: 'a mirror with an account',
    annotations: mirror,
    spec: { serviceAccountName: 'default' },
    want: 'a mirror pod may not reference service accounts',
  },
  {
    name: 'a mirror with a secret',
    annotations: mirror,
    spec: { containers: [variable('x')] },
    want: 'a mirror pod may not reference secrets',
  },
];

describe('serviceAccount', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'sa' } });
    for (const account of accounts) await test.make(`${path}/serviceaccounts`, account);
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const podOf = (name: string, spec: object, annotations: object = {}): object => ({
    metadata: { name, annotations },
    spec: { nodeName: 'n', containers: [container], ...spec },
  });
  const pullsOf = async (name: string, spec: object): Promise<unknown> =>
    at(await test.make(`${path}/pods`, podNamed(name, { spec: { containers: [container], ...spec } })), [
      'spec',
      'imagePullSecrets',
    ]);

  it.each(rows)('a pod with $name', async ({ spec, annotations, want }) => {
    const answer = await test.call('POST', `${path}/pods?dryRun=All`, {
      body: podOf('p', spec, annotations),
    });
    const message: unknown = at(answer.json, 'message');
    expect(message).toBe(want === undefined ? undefined : `pods "p" is forbidden: ${want}`);
    expect(answer.status).toBe(want === undefined ? 201 : 403);
  });

  it('gives a pod the pull secrets of its account, unless it names some', async () => {
    expect(await pullsOf('a', { serviceAccountName: 'pulls' })).toEqual([{ name: 'p1' }, { name: 'p2' }]);
    expect(await pullsOf('b', { serviceAccountName: 'pulls', imagePullSecrets: [{ name: 'own' }] })).toEqual([
      { name: 'own' },
    ]);
    expect(await pullsOf('c', {})).toBeUndefined();
  });

  it('takes the old name of the field', async () => {
    expect(await pullsOf('old', { serviceAccount: 'pulls' })).toEqual([{ name: 'p1' }, { name: 'p2' }]);
  });

  it('mounts no token where pod or account say so', async () => {
    const mountsOf = async (name: string, spec: object): Promise<unknown> =>
      objectsOf(
        at(
          await test.make(`${path}/pods`, podNamed(name, { spec: { containers: [container], ...spec } })),
          'spec.containers',
        ),
      )[0]?.['volumeMounts'];
    expect(await mountsOf('t1', {})).toHaveLength(1);
    expect(await mountsOf('t2', { automountServiceAccountToken: false })).toBeUndefined();
    expect(await mountsOf('t3', { serviceAccountName: 'bare' })).toBeUndefined();
    const isWanted = { serviceAccountName: 'bare', automountServiceAccountToken: true };
    expect(await mountsOf('t4', isWanted)).toHaveLength(1);
  });

  it('judges ephemeral containers', async () => {
    await test.make(`${path}/pods`, podOf('d', { serviceAccountName: 'strict' }));
    const add = (name: string, secret: string) =>
      test.call('PATCH', `${path}/pods/d/ephemeralcontainers`, {
        body: { spec: { ephemeralContainers: [{ ...variable(secret), name }] } },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
    expect((await add('e1', 'mine')).status).toBe(200);
    const refused = await add('e2', 'x');
    expect(at(refused.json, 'message')).toBe(
      `pods "d" is forbidden: ephemeral container e2 with envVar A referencing secret.secretName="x" ${notHis}`,
    );
  });
});
