/** Certificates of pods on a server that serves their kind: who may ask, who may sign, and what is refused. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import type { Pod, PodCertificateRequest } from '#api/generated/objects.ts';
import { nodes, podCertificateRequests, pods, serviceAccounts } from '#api/schema/kind-ref.ts';
import { builtInVersions, optionalVersions } from '#api/schema/served-version.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createPodCertificates, renderRequest } from '#agent/volume/certificates/pod-certificates.ts';
import { makePodKey } from '#agent/volume/certificates/stub-request.ts';
import { loadX509 } from '#control-plane/apiserver/pki/certificate.ts';
import { encodeCertificate, encodeName } from '#control-plane/apiserver/pki/encode-certificate.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const hourMs = 3_600_000;
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signerName = 'example.com/signer';
const source = { signerName, keyType: 'ED25519', credentialBundlePath: 'bundle' };
let test: TestServer;
let pod: Pod;
let facts: Parameters<typeof renderRequest>[2];

const clientOf = (name: string, groups: readonly string[] = []): ApiClient =>
  createApiClient({ transport: test.server.transport({ name, groups }), userAgent: 'test' });
const nodeNamed = (name: string): ApiClient => clientOf(`system:node:${name}`, ['system:nodes']);
const admin = (): ApiClient => clientOf('admin', ['system:masters']);

beforeAll(async () => {
  test = await startTestServer({ versions: [...builtInVersions, ...optionalVersions] });
  await test.make('/api/v1/namespaces', { metadata: { name: 'ns' } });
  const account = await admin().create(serviceAccounts, { metadata: { namespace: 'ns', name: 'sa' } });
  const [node] = await Promise.all(['a', 'b'].map((name) => admin().create(nodes, { metadata: { name } })));
  pod = await admin().create(pods, {
    metadata: { namespace: 'ns', name: 'p' },
    spec: {
      ...{ nodeName: 'a', serviceAccountName: 'sa', containers: [{ name: 'c', image: 'i' }] },
      volumes: [{ name: 'v', projected: { sources: [{ podCertificate: source }] } }],
    },
  });
  facts = {
    key: await makePodKey('ED25519'),
    ...{ nodeName: 'a', nodeUID: node?.metadata?.uid ?? '' },
    serviceAccountUID: account.metadata?.uid ?? '',
  };
});
afterAll(() => test[Symbol.asyncDispose]());

type Spec = PodCertificateRequest['spec'];
const requestWith = (change: Partial<Spec> = {}): PodCertificateRequest => {
  const request = renderRequest(pod, source, facts);
  return { ...request, spec: { ...request.spec, ...change } };
};
const ask = (client: ApiClient, change?: Partial<Spec>): Promise<PodCertificateRequest> =>
  client.create(podCertificateRequests, requestWith(change));

async function issued(
  { spec }: PodCertificateRequest,
  { hours = 24, key }: { readonly hours?: number; readonly key?: ReturnType<typeof createPublicKey> } = {},
): Promise<NonNullable<PodCertificateRequest['status']>> {
  const x509 = await loadX509();
  const read = new x509.Pkcs10CertificateRequest(Buffer.from(spec.stubPKCS10Request ?? '', 'base64'));
  const own = createPublicKey({ key: Buffer.from(read.publicKey.rawData), type: 'spki', format: 'der' });
  const now = Math.floor(systemClock.now() / 1000) * 1000;
  const at = (ms: number): string => new Date(now + ms).toISOString().replace('.000', '');
  const certificateChain = encodeCertificate(
    {
      ...{ serial: Buffer.from([1]), issuer: encodeName('signer'), subject: encodeName('pod') },
      ...{ notBeforeMs: now, notAfterMs: now + hours * hourMs, publicKey: key ?? own, extensions: [] },
    },
    authority.privateKey,
  );
  const verdict = { type: 'Issued', status: 'True', reason: 'Ok', message: '', lastTransitionTime: at(0) };
  return {
    ...{ conditions: [verdict], certificateChain, notBefore: at(0), notAfter: at(hours * hourMs) },
    beginRefreshAt: at(hours * hourMs * 0.8),
  };
}
const write = (
  client: ApiClient,
  request: PodCertificateRequest,
  status: PodCertificateRequest['status'],
): Promise<PodCertificateRequest> =>
  client.update(podCertificateRequests, { ...request, status }, { subresource: 'status' });

describe('a node', () => {
  it.each<[string, Partial<Spec>, RegExp]>([
    ['another node', { nodeName: 'b' }, /NodeName="b", which is not the requesting node "a"/],
    ['another node of the name', { nodeUID: 'x' }, /names node UID "x", inconsistent with the running node/],
    ['a pod that is not there', { podName: 'q' }, /pods "q" not found/],
    ['another pod of the name', { podUID: 'x' }, /contains pod UID \("x"\) which differs from running pod/],
    [
      'another account',
      { serviceAccountName: 'default' },
      /contains serviceAccountName \("default"\) that differs/,
    ],
    ['another account of the name', { serviceAccountUID: 'x' }, /names service account UID "x"/],
    [
      'a signer that the pod does not name',
      { signerName: 'a.b/c' },
      /no podCertificate volume of signer "a.b\/c"/,
    ],
  ])('asks for none of %s', async (_name, change, want) => {
    await expect(ask(nodeNamed('a'), change)).rejects.toThrow(want);
  });

  it('asks for no pod of another node', async () => {
    await expect(ask(nodeNamed('b'))).rejects.toThrow(/which is not the requesting node "b"/);
  });

  it('is given what its signer issues, once, and no other node sees it', async () => {
    const client = nodeNamed('a');
    const clock = createFakeClock(systemClock.now());
    const certificates = createPodCertificates({ client, clock, nodeName: 'a' });
    const asked = certificates.get({ pod, volume: 'v', source, signal: new AbortController().signal });
    const made = async () => (await admin().list(podCertificateRequests, { namespace: 'ns' })).items;
    await expect.poll(async () => (await made()).length).toBe(1);
    const [request = expect.unreachable()] = await made();
    expect(request.spec.maxExpirationSeconds).toBe(86_400);
    const where = { namespace: 'ns', name: request.metadata?.name ?? '' };
    await expect(nodeNamed('b').get(podCertificateRequests, where)).rejects.toThrow(/forbidden/);
    await expect(write(client, request, await issued(request))).rejects.toThrow(/forbidden/);
    const done = await write(admin(), request, await issued(request));
    await expect(write(admin(), done, { conditions: [] })).rejects.toThrow(/immutable after/);
    const told = asked.then(({ chainPem }) => chainPem);
    const turn = async (): Promise<undefined> => {
      clock.advance(250);
      await new Promise(setImmediate);
      return undefined;
    };
    let chain = await Promise.race([told, turn()]);
    while (chain === undefined) chain = await Promise.race([told, turn()]);
    expect(chain).toBe(done.status?.certificateChain);
    await expect(client.delete(podCertificateRequests, where)).rejects.toThrow(/forbidden/);
  });
});

describe('a signer', () => {
  it('signs for whom it may sign alone', async () => {
    const request = await ask(nodeNamed('a'));
    const rules = [
      ['', 'podcertificaterequests/status', ['update'], undefined],
      ['', 'signers', ['sign'], [signerName]],
    ] as const;
    for (const [index, [, resource, verbs, resourceNames]] of rules.entries()) {
      const name = `signer-${index}`;
      const rule = { apiGroups: ['certificates.k8s.io'], resources: [resource], verbs, resourceNames };
      await test.make('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
        metadata: { name },
        rules: [rule],
      });
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
      if (index === 1)
        await expect(write(clientOf('bob'), request, await issued(request))).rejects.toThrow(
          /user not permitted to sign requests with signerName "example.com\/signer"/,
        );
      await test.make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
        ...{ metadata: { name }, roleRef },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
      });
    }
    await expect
      .poll(async () => write(clientOf('bob'), request, await issued(request)).then(() => 'signed', String))
      .toBe('signed');
  });

  it.each<[string, (request: PodCertificateRequest) => Promise<PodCertificateRequest['status']>, RegExp]>([
    [
      'of another key',
      (request) => issued(request, { key: authority.publicKey }),
      /not issued to the requested/,
    ],
    [
      'longer than is asked',
      (request) => issued(request, { hours: 25 }),
      /must be <= spec.maxExpirationSeconds \(86400\)/,
    ],
    ['for less than an hour', (request) => issued(request, { hours: 0.5 }), /lifetime must be >= 1 hour/],
    [
      'with a denial',
      async (request) => ({
        ...(await issued(request)),
        conditions: [{ ...(await issued(request)).conditions?.[0], type: 'Denied' } as never],
      }),
      /must be empty when denying or failing/,
    ],
    [
      'without its times',
      async (request) => ({ ...(await issued(request)), notAfter: undefined }),
      /notAfter: Required/,
    ],
    [
      'without a verdict',
      async (request) => ({ ...(await issued(request)), conditions: [] }),
      /status is immutable unless transitioning/,
    ],
  ])('writes no certificate %s', async (_name, statusOf, want) => {
    const request = await ask(nodeNamed('a'));
    await expect(write(admin(), request, await statusOf(request))).rejects.toThrow(want);
  });

  it.each<[string, Partial<Spec>, RegExp]>([
    ['no key', { stubPKCS10Request: undefined }, /spec.stubPKCS10Request: Required value/],
    ['a request that is none', { stubPKCS10Request: 'AAAA' }, /spec.stubPKCS10Request: Invalid value/],
    ['two keys', { pkixPublicKey: 'AAAA' }, /must not be set beside/],
    ['minutes', { maxExpirationSeconds: 60 }, /must be in the range \[3600, 7862400\]/],
    ['no pod', { podUID: '' }, /spec.podUID: Invalid value: "": must not be empty/],
  ])('is asked for nothing by who names %s', async (_name, change, want) => {
    await expect(ask(admin(), change)).rejects.toThrow(want);
  });
});
