import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const path = '/api/v1/namespaces/qq';
const limits = [
  {
    type: 'Container',
    max: { cpu: '2', memory: '1Gi' },
    min: { cpu: '100m' },
    default: { cpu: '1' },
    defaultRequest: { cpu: '200m' },
    maxLimitRequestRatio: { cpu: '4' },
  },
  { type: 'Pod', max: { cpu: '3' } },
  { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '5Gi' } },
];

/** As kube-apiserver 1.36.2 answers under the limits above; a container is its resources, a claim what it asks for. */
const rows: readonly {
  readonly name: string;
  readonly resources: readonly object[];
  readonly want: string;
}[] = [
  {
    name: 'defaults of too large a ratio',
    resources: [{}],
    want: 'cpu max limit to request ratio per Container is 4, but provided ratio is 5.000000',
  },
  {
    name: 'maxima of container and pod',
    resources: [{ limits: { cpu: '5', memory: '1Mi' } }],
    want: '[maximum cpu usage per Container is 2, but limit is 5, maximum cpu usage per Pod is 3, but limit is 5]',
  },
  {
    name: 'a minimum and a ratio',
    resources: [{ requests: { cpu: '1m' }, limits: { cpu: '1', memory: '1Mi' } }],
    want: '[minimum cpu usage per Container is 100m, but request is 1m, cpu max limit to request ratio per Container is 4, but provided ratio is 1000.000000]',
  },
  {
    name: 'a ratio',
    resources: [{ requests: { cpu: '100m' }, limits: { cpu: '1', memory: '1Mi' } }],
    want: 'cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000',
  },
  {
    name: 'a sum of the pod',
    resources: [{ limits: { cpu: '2', memory: '1Mi' } }, { limits: { cpu: '2', memory: '1Mi' } }],
    want: 'maximum cpu usage per Pod is 3, but limit is 4',
  },
];

describe('limitRanger', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces', { metadata: { name: 'qq' } });
    await test.make(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
    await test.make(`${path}/limitranges`, { metadata: { name: 'l' }, spec: { limits } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const podOf = (name: string, resources: readonly object[]): object =>
    podNamed(name, {
      spec: {
        containers: resources.map((own, index) => ({ name: `c${index}`, image: 'i', resources: own })),
      },
    });
  const claimOf = (name: string, storage: string): object => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
  });
  const refusal = async (kind: string, body: object): Promise<unknown> =>
    (await test.call('POST', `${path}/${kind}`, { body })).json['message'];

  it.each(rows)('refuses $name', async ({ resources, want }) => {
    expect(await refusal('pods', podOf('p', resources))).toBe(`pods "p" is forbidden: ${want}`);
  });

  it('says what it set', async () => {
    const pod = await test.make(`${path}/pods`, podOf('q', [{ limits: { cpu: '1' } }]));
    expect(pod['metadata']?.['annotations']).toEqual({
      'kubernetes.io/limit-ranger':
        'LimitRanger plugin set: memory request for container c0; memory limit for container c0',
    });
  });

  it.each([
    ['1Mi', 'minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi'],
    ['9Gi', 'maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi'],
  ])('refuses a claim of %s', async (storage, want) => {
    expect(await refusal('persistentvolumeclaims', claimOf('s', storage))).toBe(
      `persistentvolumeclaims "s" is forbidden: ${want}`,
    );
  });

  it('leaves a claim what it has', async () => {
    await test.make('/api/v1/namespaces', { metadata: { name: 'old' } });
    const claims = '/api/v1/namespaces/old/persistentvolumeclaims';
    const claim = await test.make(claims, claimOf('c', '9Gi'));
    await test.make('/api/v1/namespaces/old/limitranges', { metadata: { name: 'l' }, spec: { limits } });
    const labelled = { ...claim, metadata: { ...claim['metadata'], labels: { a: 'b' } } };
    expect((await test.call('PUT', `${claims}/c`, { body: labelled })).status).toBe(200);
  });
});
