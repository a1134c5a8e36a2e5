import { describe, expect, it } from 'vitest';
import type { CertificateSigningRequest, Node } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import { signRequest } from '#control-plane/apiserver/pki/sign-request.ts';
import { readRequest } from './node-request.ts';
import { isOutdated, planApproval, planProxyApproval, planSigning } from './plan.ts';
import { planServing, type Places } from './serving.ts';

const nowMs = Date.UTC(2026, 0, 2);
const hourMs = 3_600_000;
const nodes = ['system:nodes'];
const ofClient = ['digital signature', 'client auth'];
const ofServer = ['digital signature', 'server auth'];

interface Wanted {
  readonly subject?: Parameters<typeof makeRequest>[0];
  readonly spec?: Partial<CertificateSigningRequest['spec']>;
  readonly status?: CertificateSigningRequest['status'];
}

/** A node that renews its own certificate, unless said otherwise. */
async function csrOf({ subject, spec, status }: Wanted): Promise<CertificateSigningRequest> {
  const { requestPem } = await makeRequest(subject ?? { commonName: 'system:node:a', organizations: nodes });
  return {
    metadata: { name: 'x', creationTimestamp: formatTime(nowMs) },
    spec: {
      request: Buffer.from(requestPem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ofClient,
      username: 'system:node:a',
      groups: [...nodes, 'system:authenticated'],
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

const proxy = { commonName: 'system:kube-proxy' };
const client = { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] };
const condition = (type: string, ageMs = 0) => ({
  ...{ type, status: 'True', reason: 'R' },
  lastUpdateTime: formatTime(nowMs - ageMs),
});

describe('planApproval()', () => {
  it.each<{ readonly name: string; readonly given: Wanted; readonly want: readonly string[] }>([
    { name: 'a node renews its own', given: {}, want: ['selfnodeclient', 'nodeclient'] },
    {
      name: 'somebody makes a node',
      given: { spec: { username: 'system:bootstrap:abcdef' } },
      want: ['nodeclient'],
    },
    {
      name: 'an RSA key',
      given: { spec: { usages: [...ofClient, 'key encipherment'] } },
      want: ['selfnodeclient', 'nodeclient'],
    },
    { name: 'other usages', given: { spec: { usages: ['client auth'] } }, want: [] },
    { name: 'another signer', given: { spec: { signerName: 'example.com/mine' } }, want: [] },
    {
      name: 'a serving certificate',
      given: { spec: { signerName: 'kubernetes.io/kubelet-serving', usages: ofServer } },
      want: [],
    },
    {
      name: 'names beside the subject',
      given: { subject: { commonName: 'system:node:a', organizations: nodes, hosts: ['a'] } },
      want: [],
    },
    {
      name: 'another organisation too',
      given: { subject: { commonName: 'system:node:a', organizations: [...nodes, 'system:masters'] } },
      want: [],
    },
    { name: 'approved already', given: { status: { conditions: [condition('Approved')] } }, want: [] },
    { name: 'denied already', given: { status: { conditions: [condition('Denied')] } }, want: [] },
    { name: 'issued already', given: { status: { certificate: 'x' } }, want: [] },
    { name: 'the proxy of a node', given: { subject: proxy, spec: client }, want: ['nodeproxyclient'] },
    {
      name: 'the proxy of nobody',
      given: { subject: proxy, spec: { ...client, username: 'bob', groups: [] } },
      want: [],
    },
    { name: 'the proxy by name alone', given: { subject: proxy, spec: { ...client, groups: [] } }, want: [] },
    {
      name: 'the proxy in a group',
      given: { subject: { ...proxy, organizations: nodes }, spec: client },
      want: [],
    },
    { name: 'the proxy with a name', given: { subject: { ...proxy, hosts: ['a'] }, spec: client }, want: [] },
    {
      name: 'the proxy as a server',
      given: { subject: proxy, spec: { ...client, usages: ofServer } },
      want: [],
    },
    {
      name: 'a scheduler for a node',
      given: { subject: { commonName: 'system:kube-scheduler' }, spec: client },
      want: [],
    },
  ])('$name', async ({ given, want }) => {
    const csr = await csrOf(given);
    const asked = [...planApproval(csr), ...[planProxyApproval(csr) ?? []].flat()];
    expect(asked.map(({ subresource }) => subresource)).toEqual(want);
  });
});

describe('planSigning()', () => {
  const approved = { conditions: [condition('Approved')] };
  it.each<{ readonly name: string; readonly given: Wanted; readonly want: object }>([
    { name: 'not approved', given: {}, want: { kind: 'nothing' } },
    { name: 'approved', given: { status: approved }, want: { kind: 'sign' } },
    { name: 'signed', given: { status: { ...approved, certificate: 'x' } }, want: { kind: 'nothing' } },
    {
      name: 'failed',
      given: { status: { conditions: [condition('Approved'), condition('Failed')] } },
      want: { kind: 'nothing' },
    },
    {
      name: 'denied too',
      given: { status: { conditions: [condition('Approved'), condition('Denied')] } },
      want: { kind: 'nothing' },
    },
    {
      name: 'a signer of somebody else',
      given: { spec: { signerName: 'example.com/x' }, status: approved },
      want: { kind: 'nothing' },
    },
    {
      name: 'whatever is legacy',
      given: { spec: { signerName: 'kubernetes.io/legacy-unknown', usages: ['any'] }, status: approved },
      want: { kind: 'sign' },
    },
    {
      name: 'wrong',
      given: { spec: { usages: ofServer }, status: approved },
      want: {
        kind: 'fail',
        message: 'usages did not match [client auth digital signature key encipherment]',
      },
    },
  ])('$name', async ({ given, want }) => {
    expect(planSigning(await csrOf(given))).toEqual(want);
  });
});

describe('isOutdated()', async () => {
  const authority = await createAuthority('ca', nowMs - 48 * hourMs);
  const { requestPem } = await makeRequest({ commonName: 'x' });
  const order = { request: Buffer.from(requestPem).toString('base64'), usages: [], expirationSeconds: 600 };
  const issuedAt = async (ms: number): Promise<string> =>
    Buffer.from(await signRequest(authority, { ...order, nowMs: ms })).toString('base64');
  const fresh = await issuedAt(nowMs);
  const ended = await issuedAt(nowMs - 0.5 * hourMs);
  it.each<{
    readonly name: string;
    readonly ageMs?: number;
    readonly status?: CertificateSigningRequest['status'];
    readonly want: boolean;
  }>([
    { name: 'pending for a day', ageMs: 24 * hourMs, want: false },
    { name: 'pending for longer', ageMs: 24 * hourMs + 1000, want: true },
    {
      name: 'denied an hour ago',
      ageMs: 99 * hourMs,
      status: { conditions: [condition('Denied', hourMs)] },
      want: false,
    },
    { name: 'denied before', status: { conditions: [condition('Denied', hourMs + 1000)] }, want: true },
    { name: 'failed before', status: { conditions: [condition('Failed', hourMs + 1000)] }, want: true },
    {
      name: 'approved, never signed',
      status: { conditions: [condition('Approved', 99 * hourMs)] },
      want: false,
    },
    {
      name: 'issued an hour ago',
      status: { certificate: fresh, conditions: [condition('Approved', hourMs)] },
      want: false,
    },
    {
      name: 'issued before',
      status: { certificate: fresh, conditions: [condition('Approved', hourMs + 1000)] },
      want: true,
    },
    {
      name: 'ended',
      status: { certificate: ended, conditions: [condition('Approved', hourMs / 2)] },
      want: true,
    },
  ])('$name: $want', ({ ageMs = 0, status, want }) => {
    const csr: CertificateSigningRequest = {
      metadata: { creationTimestamp: formatTime(nowMs - ageMs) },
      spec: { request: '', signerName: '' },
      ...(status === undefined ? {} : { status }),
    };
    expect(isOutdated(csr, nowMs)).toBe(want);
  });
});

describe('planServing()', () => {
  const node: Node = {
    metadata: { name: 'a' },
    status: {
      addresses: [
        { type: 'InternalIP', address: '192.0.2.7' },
        { type: 'Hostname', address: 'host-a' },
      ],
    },
  };
  const places: Places = { node, ofOthers: new Set(['192.0.2.9']), ofServers: new Set(['192.0.2.1']) };
  const withAddresses = (...addresses: readonly (readonly [string, string])[]): Places => ({
    ...places,
    node: { ...node, status: { addresses: addresses.map(([type, address]) => ({ type, address })) } },
  });
  const serving = { signerName: 'kubernetes.io/kubelet-serving', usages: ofServer };
  it.each<{
    readonly name: string;
    readonly hosts?: readonly string[];
    readonly spec?: Wanted['spec'];
    readonly where?: Places;
    readonly want: string;
  }>([
    { name: 'its names and addresses', hosts: ['a', 'host-a', '192.0.2.7'], want: 'approve' },
    { name: 'a part of them', hosts: ['192.0.2.7'], want: 'approve' },
    { name: 'another address', hosts: ['192.0.2.8'], want: '192.0.2.8 is not among the addresses of Node a' },
    { name: 'another name', hosts: ['a', 'b'], want: 'b is not among the addresses of Node a' },
    { name: 'no Node', hosts: ['a'], where: { ...places, node: undefined }, want: 'there is no Node a' },
    {
      name: 'an address that another node has',
      hosts: ['192.0.2.9'],
      where: withAddresses(['InternalIP', '192.0.2.9']),
      want: "192.0.2.9 is another node's too",
    },
    ...['kubernetes', 'kubernetes.default.svc', 'localhost'].map((host) => ({
      name: `the name ${host}`,
      hosts: [host],
      where: withAddresses(['Hostname', host]),
      want: `${host} may be the API server's: look at it and approve it by hand`,
    })),
    ...['192.0.2.1', '127.0.0.1', '169.254.169.254'].map((host) => ({
      name: `the address ${host}`,
      hosts: [host],
      where: withAddresses(['InternalIP', host]),
      want: `${host} may be the API server's: look at it and approve it by hand`,
    })),
    { name: 'another signer', hosts: ['a'], spec: client, want: 'nothing' },
    { name: 'somebody else', hosts: ['a'], spec: { username: 'bob' }, want: 'nothing' },
    { name: 'another node', hosts: ['a'], spec: { username: 'system:node:b' }, want: 'nothing' },
    { name: 'no name', want: 'nothing' },
  ])('$name: $want', async ({ hosts = [], spec, where = places, want }) => {
    const subject = { commonName: 'system:node:a', organizations: nodes, hosts };
    const request = readRequest(await csrOf({ subject, spec: { ...serving, ...spec } }));
    if (request === undefined) throw new Error('no request');
    const plan = planServing(request, where);
    expect(plan.kind === 'leave' ? plan.why : plan.kind).toBe(want);
  });
});
