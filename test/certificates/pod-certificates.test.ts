/** Certificates of pods, from the key that a node makes to what a signer makes of its request. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { nodes, podCertificateRequests, serviceAccounts } from '#api/schema/kind-ref.ts';
import type { Pod, PodCertificateProjection, PodCertificateRequest } from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import {
  createPodCertificates,
  type CertificateWish,
  type PodCertificates,
} from '#agent/volume/certificates/pod-certificates.ts';
import { makePodKey } from '#agent/volume/certificates/stub-request.ts';
import { loadX509 } from '#control-plane/apiserver/pki/certificate.ts';
import { encodeCertificate, encodeName } from '#control-plane/apiserver/pki/encode-certificate.ts';

const hourMs = 3_600_000;
const verdict = (type: string, reason = 'Ok', message = '') => ({
  ...{ type, status: 'True', reason, message, lastTransitionTime: '2026-12-01T00:00:00Z' },
});
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const source: PodCertificateProjection = {
  ...{ signerName: 'kubernetes.io/kube-apiserver-client-pod', keyType: 'ED25519' },
  ...{ credentialBundlePath: 'bundle', userAnnotations: { 'example.com/a': 'b' } },
};
const pod: Pod = {
  metadata: { namespace: 'ns', name: 'p', uid: 'pod-uid' },
  spec: { serviceAccountName: 'sa', containers: [] },
};

describe('makePodKey()', () => {
  it.each(['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'])(
    'makes a key of type %s, and a request that another library finds good',
    async (type) => {
      const x509 = await loadX509();
      const { pem, request } = await makePodKey(type);
      const read = new x509.Pkcs10CertificateRequest(request);
      expect(await read.verify()).toBe(true);
      expect([read.subject, read.attributes.length]).toEqual(['', 0]);
      expect(createPrivateKey(pem).asymmetricKeyType).toBe(
        type.startsWith('RSA') ? 'rsa' : type.startsWith('EC') ? 'ec' : 'ed25519',
      );
    },
  );

  it('makes none of another type', async () => {
    await expect(makePodKey('toString')).rejects.toThrow(
      'podCertificate: keyType "toString" is none of RSA3072, RSA4096, ECDSAP256, ECDSAP384, ECDSAP521, ED25519',
    );
  });
});

describe('createPodCertificates()', () => {
  let clock: FakeClock;
  let client: FakeApiClient;
  let certificates: PodCertificates;
  beforeEach(() => {
    clock = createFakeClock(Date.parse('2026-12-01T00:00:00Z'));
    client = createFakeApiClient(clock);
    client.seed(serviceAccounts, { metadata: { namespace: 'ns', name: 'sa', uid: 'sa-uid' } });
    client.seed(nodes, { metadata: { name: 'n1', uid: 'node-uid' } });
    certificates = createPodCertificates({ client, clock, nodeName: 'n1' });
  });
  const wish: CertificateWish = { pod, volume: 'v', source, signal: new AbortController().signal };
  const requests = (): readonly PodCertificateRequest[] => client.all(podCertificateRequests);
  const open = async (): Promise<PodCertificateRequest> => {
    await expect.poll(() => requests().find(({ status }) => status?.conditions === undefined)).toBeDefined();
    return requests().find(({ status }) => status?.conditions === undefined) ?? expect.unreachable();
  };
  const answer = async (status: PodCertificateRequest['status']): Promise<void> => {
    const request = await open();
    await client.update(
      podCertificateRequests,
      { ...request, status: status ?? {} },
      { subresource: 'status' },
    );
  };
  const issued = async (publicKey = authority.publicKey): Promise<PodCertificateRequest['status']> => {
    const now = clock.now();
    const at = (ms: number): string => new Date(now + ms).toISOString();
    const chain = encodeCertificate(
      {
        ...{ serial: Buffer.from([1]), issuer: encodeName('signer'), subject: encodeName('pod') },
        ...{ notBeforeMs: now, notAfterMs: now + 24 * hourMs, publicKey, extensions: [] },
      },
      authority.privateKey,
    );
    return {
      conditions: [verdict('Issued')],
      certificateChain: chain,
      ...{ notBefore: at(0), beginRefreshAt: at(20 * hourMs), notAfter: at(24 * hourMs) },
    };
  };
  const sign = async (): Promise<void> => {
    const x509 = await loadX509();
    const { spec } = await open();
    const read = new x509.Pkcs10CertificateRequest(Buffer.from(spec?.stubPKCS10Request ?? '', 'base64'));
    const key = createPublicKey({ key: Buffer.from(read.publicKey.rawData), type: 'spki', format: 'der' });
    await answer(await issued(key));
  };
  /** What comes of it, with the time going on. */
  const get = async (): Promise<string> => {
    const told = certificates.get(wish).then(
      ({ chainPem, keyPem }) =>
        new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(keyPem)) ? chainPem : 'of another key',
      (error: Error) => error.message,
    );
    const turn = async (): Promise<undefined> => {
      clock.advance(250);
      await new Promise(setImmediate);
      return undefined;
    };
    for (;;) {
      const over = await Promise.race([told, turn()]);
      if (over !== undefined) return over;
    }
  };

  it('asks for the pod, waits for the signer, and keeps what it has until its time', async () => {
    expect(await get()).toBe(
      'volume "v": podCertificate of signer kubernetes.io/kube-apiserver-client-pod: PodCertificateRequest req-00003 is not answered yet',
    );
    expect((await open()).spec).toEqual({
      ...{ signerName: source.signerName, podName: 'p', podUID: 'pod-uid', nodeName: 'n1' },
      ...{ nodeUID: 'node-uid', serviceAccountName: 'sa', serviceAccountUID: 'sa-uid' },
      maxExpirationSeconds: 86_400,
      stubPKCS10Request: expect.stringMatching(/^M[A-Za-z0-9+/=]+$/),
      unverifiedUserAnnotations: { 'example.com/a': 'b' },
    });
    await sign();
    const first = await get();
    expect(first).toContain('BEGIN CERTIFICATE');
    expect(await get()).toBe(first);
    expect(requests().length).toBe(1);

    clock.advance(20 * hourMs);
    expect(await get()).toBe(first); // Asked for the next, which nobody has signed.
    expect(requests().length).toBe(2);
    await sign();
    clock.advance(10_000);
    const second = await get();
    expect(second).not.toBe(first);
    expect(second).toContain('BEGIN CERTIFICATE');
  });

  it.each([
    ['Denied', /req-\d+ is denied: No: not you; another pod asks again$/],
    ['Failed', /req-\d+ is failed: No: not you/],
  ])('asks once where it is %s', async (type, want) => {
    await get();
    await answer({ conditions: [verdict(type, 'No', 'not you')] });
    expect(await get()).toMatch(want);
    expect(await get()).toMatch(want);
    expect(requests().length).toBe(1);
  });

  it('takes no certificate of another key, and none that is none', async () => {
    await get();
    await answer(await issued());
    expect(await get()).toMatch(/the certificate is not of the key that was asked for$/);
  });

  it('asks again where its request is gone', async () => {
    await get();
    const { metadata } = await open();
    await client.delete(podCertificateRequests, { namespace: 'ns', name: metadata?.name ?? '' });
    expect(await get()).toMatch(/the request is gone; another is made$/);
    await get();
    expect(requests().length).toBe(1);
  });
});
