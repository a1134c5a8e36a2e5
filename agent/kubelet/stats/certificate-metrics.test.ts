import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { selfSigned } from '#client/self-signed.fixture.ts';
import { renderCertificates } from './certificate-metrics.ts';

describe('renderCertificates()', () => {
  let pem = '';
  beforeAll(async () => {
    pem = (await selfSigned()).certPem;
  });

  const valueOf = (text: string, name: string): string | undefined =>
    new RegExp(`^kubelet_certificate_manager_${name}_ttl_seconds (.*)$`, 'm').exec(text)?.[1];

  it('tells whole seconds until they end, less than none after', () => {
    const endMs = Date.parse(new X509Certificate(pem).validTo);
    expect(valueOf(renderCertificates({ client: pem, serving: undefined }, endMs - 1500), 'client')).toBe(
      '1',
    );
    expect(valueOf(renderCertificates({ client: undefined, serving: pem }, endMs + 2000), 'server')).toBe(
      '-2',
    );
  });

  it.each([undefined, 'no certificate'])('tells infinity of %s', (serving) => {
    expect(valueOf(renderCertificates({ client: undefined, serving }, 0), 'server')).toBe('+Inf');
  });
});
