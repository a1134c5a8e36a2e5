import { describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';
import { signRequest } from '#control-plane/apiserver/pki/sign-request.ts';
import { makeRequest } from '#control-plane/apiserver/pki/make-request.ts';
import { computeRotation, requireCurrent } from './rotate-certificates.ts';

const nowMs = Date.UTC(2026, 0, 1);
const yearMs = 365 * 86_400_000;
const authority = await createAuthority('ca', nowMs);
const other = await createAuthority('ca', nowMs);
const { certPem } = await issueCertificate(authority, { commonName: 'x', usages: ['client'], nowMs });
// From five minutes before now to a year after it.
const lifeMs = yearMs + 300_000;

describe('computeRotation()', () => {
  it.each([
    { chance: 0, part: 0.7 },
    { chance: 0.5, part: 0.8 },
    { chance: 0.999, part: 0.8998 },
  ])('is after $part of its life, by chance $chance', ({ chance, part }) => {
    expect(computeRotation(certPem, authority.certPem, chance)).toBeCloseTo(
      nowMs - 300_000 + lifeMs * part,
      -1,
    );
  });

  it('is at once where there is none, or one of another authority', () => {
    expect(computeRotation(undefined, authority.certPem, 0.5)).toBe(0);
    expect(computeRotation(certPem, other.certPem, 0.5)).toBe(0);
  });

  it('comes before the end also of a short one', async () => {
    const { requestPem } = await makeRequest({ commonName: 'x' });
    const order = { request: Buffer.from(requestPem).toString('base64'), usages: ['client auth'], nowMs };
    const short = await signRequest(authority, { ...order, lifeMsMax: 150_000 });
    expect(computeRotation(short, authority.certPem, 0)).toBe(nowMs + 15_000);
    expect(computeRotation(short, authority.certPem, 1)).toBe(nowMs + 105_000);
  });
});

describe('requireCurrent()', () => {
  it('says what to do about one that has ended', () => {
    expect(() => requireCurrent(certPem, '/c', nowMs + yearMs - 1000)).not.toThrow();
    expect(() => requireCurrent(certPem, '/c', nowMs + yearMs)).toThrow(
      /^start agent: the node's certificate in \/c ended on .*; join the node again, with what podwright token create --print-join-command prints/,
    );
  });
});
