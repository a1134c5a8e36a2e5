import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Json } from '#control-plane/apiserver/test-server.fixture.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { bob, nodeA, startTestCluster, type TestCluster } from './certificates.fixture.ts';

const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const admin: User = { name: 'admin', groups: ['system:masters'] };
const client = 'kubernetes.io/kube-apiserver-client';
const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';
const serving = 'kubernetes.io/kubelet-serving';
const ofClient = ['digital signature', 'client auth'];
const ofServer = ['digital signature', 'server auth'];
const nodeSubject = { commonName: 'system:node:a', organizations: ['system:nodes'] };

interface Wanted {
  readonly subject: Parameters<typeof makeRequest>[0];
  readonly signer: string;
  readonly usages: readonly string[];
  readonly user?: User;
  readonly seconds?: number;
}

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

async function ask(name: string, { subject, signer, usages, user = admin, seconds }: Wanted) {
  const { requestPem } = await makeRequest(subject);
  const request = Buffer.from(requestPem).toString('base64');
  const spec = {
    request,
    signerName: signer,
    usages,
    ...(seconds === undefined ? {} : { expirationSeconds: seconds }),
  };
  return cluster.as(user, 'POST', path, { metadata: { name }, spec });
}

async function settled(name: string, claim: (csr: Json) => boolean): Promise<Json> {
  return vi.waitFor(async () => {
    const { json } = await cluster.as(admin, 'GET', `${path}/${name}`);
    if (!claim(json)) throw new Error(JSON.stringify(json['status']));
    return json;
  }, 60_000);
}

const isIssued = (csr: Json): boolean => csr['status']?.['certificate'] !== undefined;
const isFailed = (csr: Json): boolean => JSON.stringify(csr['status'] ?? {}).includes('"Failed"');
const certificateOf = (csr: Json): X509Certificate =>
  new X509Certificate(Buffer.from(String(csr['status']?.['certificate']), 'base64'));

async function approve(name: string, user = admin, type = 'Approved') {
  const { json } = await cluster.as(admin, 'GET', `${path}/${name}`);
  const conditions = [{ type, status: 'True', reason: 'R', message: 'M' }];
  return cluster.as(user, 'PUT', `${path}/${name}/approval`, { ...json, status: { conditions } });
}

describe('CertificateSigningRequests', () => {
  it('of nodes are approved where a review allows it, and signed', async () => {
    expect((await ask('k1', { subject: nodeSubject, signer: kubeletClient, usages: ofClient })).status).toBe(
      201,
    );
    const own = { subject: nodeSubject, signer: kubeletClient, usages: ofClient, user: nodeA, seconds: 3600 };
    expect((await ask('k3', own)).status).toBe(201);
    const byAdmin = await settled('k1', isIssued);
    expect(byAdmin['status']?.['conditions']).toMatchObject([
      {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
        lastUpdateTime: expect.stringMatching(/Z$/),
        lastTransitionTime: expect.stringMatching(/Z$/),
      },
    ]);
    const bySelf = await settled('k3', isIssued);
    expect(bySelf['status']?.['conditions']).toMatchObject([
      { message: 'Auto approving self kubelet client certificate after SubjectAccessReview.' },
    ]);
    const certificate = certificateOf(bySelf);
    expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:a');
    expect(certificate.validToDate.getTime() - certificate.validFromDate.getTime()).toBe(3_900_000);
    const ca = new X509Certificate(cluster.test.server.caCertPem);
    expect(certificate.verify(ca.publicKey)).toBe(true);
  });

  it.each([
    {
      name: 'another node',
      wanted: {
        subject: { ...nodeSubject, commonName: 'system:node:b' },
        signer: kubeletClient,
        usages: ofClient,
        user: nodeA,
      },
      status: 403,
      message: 'is forbidden: can only create a node CSR with CN=system:node:a',
    },
    {
      name: 'the group of masters',
      wanted: {
        subject: { commonName: 'bob', organizations: ['system:masters'] },
        signer: client,
        usages: ['client auth'],
      },
      status: 403,
      message:
        'is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    },
    {
      name: 'somebody who may not ask',
      wanted: { subject: { commonName: 'bob' }, signer: client, usages: ['client auth'], user: bob },
      status: 403,
      message:
        'certificatesigningrequests.certificates.k8s.io is forbidden: User "bob" cannot create resource',
    },
  ])('for $name are refused', async ({ wanted, status, message }) => {
    const answer = await ask('refused', wanted);
    expect(answer.status).toBe(status);
    expect(String(answer.json['message'])).toContain(message);
  });

  it.each([
    {
      name: 'k6',
      subject: nodeSubject,
      signer: serving,
      usages: ofServer,
      message: 'DNS or IP subjectAltName is required',
    },
    {
      name: 'k8b',
      subject: { commonName: 'bob' },
      signer: client,
      usages: ['server auth'],
      message: 'invalid usage for client certificate: server auth',
    },
    {
      name: 'x1',
      subject: { commonName: 'bob' },
      signer: client,
      usages: ['digital signature'],
      message: 'missing required usage for client certificate: client auth',
    },
    {
      name: 'x2',
      subject: { commonName: 'x' },
      signer: kubeletClient,
      usages: ofClient,
      message: 'subject organization is not system:nodes',
    },
    {
      name: 'x3',
      subject: { ...nodeSubject, hosts: ['a'] },
      signer: kubeletClient,
      usages: ofClient,
      message: 'DNS subjectAltNames are not allowed',
    },
    {
      name: 'x4',
      subject: { ...nodeSubject, commonName: 'a' },
      signer: kubeletClient,
      usages: ofClient,
      message: 'subject common name does not begin with system:node:',
    },
    {
      name: 'x5',
      subject: nodeSubject,
      signer: kubeletClient,
      usages: ofServer,
      message: 'usages did not match [client auth digital signature key encipherment]',
    },
  ])('that are wrong are not signed: $message', async ({ name, subject, signer, usages, message }) => {
    await ask(name, { subject, signer, usages });
    expect((await approve(name)).status).toBe(200);
    const csr = await settled(name, isFailed);
    expect(csr['status']?.['conditions']).toMatchObject([
      { type: 'Approved' },
      { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message },
    ]);
    expect(isIssued(csr)).toBe(false);
  });

  it('are approved by hand, by who may approve for the signer', async () => {
    await ask('k18', {
      subject: { commonName: 'bob', organizations: ['devs'] },
      signer: client,
      usages: ['client auth'],
      seconds: 600,
    });
    const rights = [
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        verbs: ['update'],
      },
    ];
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    expect((await approve('k18', bob)).json['message']).toBe(
      'certificatesigningrequests.certificates.k8s.io "k18" is forbidden: User "bob" cannot update resource "certificatesigningrequests/approval" in API group "certificates.k8s.io" at the cluster scope',
    );
    await cluster.test.make(`${rbac}/clusterroles`, { metadata: { name: 'approver' }, rules: rights });
    await cluster.test.make(`${rbac}/clusterrolebindings`, {
      metadata: { name: 'approver' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'approver' },
      subjects: [{ kind: 'User', name: 'bob' }],
    });
    expect((await approve('k18', bob)).json['message']).toBe(
      'certificatesigningrequests.certificates.k8s.io "k18" is forbidden: user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"',
    );
    const { json } = await cluster.as(admin, 'GET', `${path}/k18`);
    const failed = [{ type: 'Failed', status: 'True', reason: 'R' }];
    const signing = await cluster.as(bob, 'PUT', `${path}/k18/status`, {
      ...json,
      status: { conditions: failed },
    });
    expect(signing.json['message']).toBe(
      'certificatesigningrequests.certificates.k8s.io "k18" is forbidden: user not permitted to sign requests with signerName "kubernetes.io/kube-apiserver-client"',
    );
    const signerRights = {
      apiGroups: ['certificates.k8s.io'],
      resources: ['signers'],
      resourceNames: ['kubernetes.io/*'],
      verbs: ['approve'],
    };
    await cluster.as(admin, 'PATCH', `${rbac}/clusterroles/approver`, { rules: [...rights, signerRights] });
    expect((await approve('k18', bob)).status).toBe(200);
    const certificate = certificateOf(await settled('k18', isIssued));
    expect(certificate.subject).toBe('O=devs\nCN=bob');
    expect(certificate.validToDate.getTime() - certificate.validFromDate.getTime()).toBe(900_000);
  });

  it('keep since when a condition holds, also where it is written again', async () => {
    await ask('again', {
      subject: { commonName: 'bob' },
      signer: 'example.com/mine',
      usages: ['client auth'],
    });
    const first = (await approve('again')).json['status']?.['conditions'] as unknown as readonly Json[];
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const second = (await approve('again')).json['status']?.['conditions'] as unknown as readonly Json[];
    expect(second[0]?.['lastTransitionTime']).toBe(first[0]?.['lastTransitionTime']);
    expect(second[0]?.['lastUpdateTime']).not.toBe(first[0]?.['lastUpdateTime']);
  });

  it('of a node for what it shows wait until its Node has the names and addresses', async () => {
    const subject = { ...nodeSubject, hosts: ['a', '192.0.2.7'] };
    await ask('s1', { subject, signer: serving, usages: ofServer, user: nodeA });
    await ask('s2', {
      subject: { ...nodeSubject, hosts: ['192.0.2.8'] },
      signer: serving,
      usages: ofServer,
      user: nodeA,
    });
    await cluster.test.make('/api/v1/nodes', { metadata: { name: 'a' } });
    const addresses = [
      { type: 'InternalIP', address: '192.0.2.7' },
      { type: 'Hostname', address: 'a' },
    ];
    await cluster.as(admin, 'PATCH', '/api/v1/nodes/a/status', { status: { addresses } });
    expect(certificateOf(await settled('s1', isIssued)).subjectAltName).toBe('DNS:a, IP Address:192.0.2.7');
    const { json } = await cluster.as(admin, 'GET', `${path}/s2`);
    expect(json['status']).toEqual({});
  });
});
