import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { selfSigned } from '#client/self-signed.fixture.ts';
import { renderCertificates, type NodeCertificates } from './certificate-metrics.ts';

describe('renderCertificates()', () => {
  let pem = '';
  beforeAll(async () => {
    pem = (await selfSigned()).certPem;
  });

  const none: NodeCertificates = { client: undefined, serving: undefined, servingNotRenewed: 0 };
  const valueOf = (text: string, name: string): string | undefined =>
    new RegExp(`^kubelet_${name} (.*)$`, 'm').exec(text)?.[1];
  const secondsOf = (text: string, name: string): string | undefined =>
    valueOf(text, `certificate_manager_${name}_ttl_seconds`);

  it('tells whole seconds until they end, less than none after', () => {
    const endMs = Date.parse(new X509Certificate(pem).validTo);
    expect(secondsOf(renderCertificates({ ...none, client: pem }, endMs - 1500), 'client')).toBe('1');
    expect(secondsOf(renderCertificates({ ...none, serving: pem }, endMs + 2000), 'server')).toBe('-2');
  });

  it.each([undefined, 'no certificate'])('tells infinity of %s', (serving) => {
    expect(secondsOf(renderCertificates({ ...none, serving }, 0), 'server')).toBe('+Inf');
  });

  it('tells how often another was asked for in vain', () => {
    const text = renderCertificates({ ...none, servingNotRenewed: 2 }, 0);
    expect(valueOf(text, 'server_expiration_renew_errors')).toBe('2');
  });
});
