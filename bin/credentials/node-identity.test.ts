import { beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';
import { nodeNameOf } from './node-identity.ts';

describe('nodeNameOf()', () => {
  const certificates: Record<string, string> = {};
  beforeAll(async () => {
    const authority = await createAuthority('ca', Date.now());
    for (const commonName of ['system:node:n1', 'kubernetes-admin']) {
      const organizations = ['system:nodes', 'x'];
      const request = { commonName, organizations, usages: ['client' as const], nowMs: Date.now() };
      certificates[commonName] = (await issueCertificate(authority, request)).certPem;
    }
  });
  const credentials = '/c';

  it.each([
    { name: 'the certificate’s', certificate: 'system:node:n1', want: 'n1' },
    { name: 'both', certificate: 'system:node:n1', nodeName: 'n1', want: 'n1' },
    { name: 'the flag’s for an administrator', certificate: 'kubernetes-admin', nodeName: 'x', want: 'x' },
    { name: 'the flag’s for a token', certificate: '', nodeName: 'x', want: 'x' },
  ])('is $name', ({ certificate, nodeName, want }) => {
    expect(nodeNameOf(certificates[certificate], { nodeName, credentials })).toBe(want);
  });

  it.each([
    {
      name: 'another name',
      certificate: 'system:node:n1',
      nodeName: 'n2',
      want: 'start agent --node-name n2: the credentials in /c are those of node n1; leave --node-name out, or have the server write credentials for n2 (podwright server --node n2=IP) and give those',
    },
    { name: 'a prefix of it', certificate: 'system:node:n1', nodeName: 'n', want: 'are those of node n1' },
    { name: 'no name at all', certificate: 'kubernetes-admin', want: 'give --node-name NAME' },
  ])('refuses $name', ({ certificate, nodeName, want }) => {
    expect(() => nodeNameOf(certificates[certificate], { nodeName, credentials })).toThrow(want);
  });

  it('names the place of a certificate that is none', () => {
    expect(() => nodeNameOf('nonsense', { credentials })).toThrow(
      'read the client certificate in /c: it is none',
    );
  });
});
