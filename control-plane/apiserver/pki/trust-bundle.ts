import { X509Certificate } from 'node:crypto';
import { PodwrightError } from '#base/errors.ts';
import { constraintsOf } from './certificate.ts';

/** Certificates of authorities that are believed, all of one file. */
export interface TrustBundle {
  readonly pem: string;
  readonly authorities: readonly X509Certificate[];
}

/** Certificates of one bundle that are taken. */
const authoritiesMax = 1000;
const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What a PEM file holds of certificates; other blocks and text between are passed over. @throws E_INVALID where there are none, or one is broken */
export function parseTrustBundle(pem: string): TrustBundle {
  const blocks = pem.match(block) ?? [];
  if (blocks.length === 0) throw new PodwrightError('E_INVALID', 'it holds no certificate in PEM');
  if (blocks.length > authoritiesMax) {
    throw new PodwrightError(
      'E_LIMIT',
      `it holds ${blocks.length} certificates, more than ${authoritiesMax}`,
    );
  }
  const authorities = blocks.map((text, index) => {
    try {
      return new X509Certificate(text);
    } catch (cause) {
      throw new PodwrightError('E_INVALID', `its certificate ${index + 1} cannot be read`, { cause });
    }
  });
  return { pem: blocks.map((text) => `${text}\n`).join(''), authorities };
}

/**
 * Whether signatures lead from the first certificate of a chain to an authority of the bundle, over others of the chain, all of them
 * valid now. To be asked of a chain that a handshake found in order: purposes, and what this does not look at, were judged there
 * (by OpenSSL); where several bundles are trusted, this says which of them it is, and whether it still is.
 * @returns why not, undefined where they do
 */
export async function untrustedBy(
  bundle: TrustBundle,
  chain: readonly X509Certificate[],
  nowMs: number,
): Promise<string | undefined> {
  const [leaf, ...others] = chain;
  if (leaf === undefined) return 'no certificate';
  const problem = dateProblem(leaf, nowMs);
  if (problem !== undefined) return problem;
  return (await reaches(bundle, { certificate: leaf, others, below: 0 }, nowMs))
    ? undefined
    : 'certificate signed by unknown authority';
}

interface Step {
  readonly certificate: X509Certificate;
  readonly others: readonly X509Certificate[];
  /** Authorities between this one and the client's own certificate. */
  readonly below: number;
}

async function reaches(
  bundle: TrustBundle,
  { certificate, others, below }: Step,
  nowMs: number,
): Promise<boolean> {
  const isSignedBy = (issuer: X509Certificate): boolean =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  const isValid = (one: X509Certificate): boolean => dateProblem(one, nowMs) === undefined;
  if (bundle.authorities.some((authority) => isValid(authority) && isSignedBy(authority))) return true;
  for (const [index, issuer] of others.entries()) {
    if (!issuer.ca || !isValid(issuer) || !isSignedBy(issuer)) continue;
    // Which of two authorities a handshake went by is not told: what limits an authority between is looked at again.
    const { pathLength, hasNames } = await constraintsOf(issuer);
    if (hasNames || (pathLength !== undefined && pathLength < below)) continue;
    const rest = others.toSpliced(index, 1);
    if (await reaches(bundle, { certificate: issuer, others: rest, below: below + 1 }, nowMs)) return true;
  }
  return false;
}

function dateProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  if (nowMs > certificate.validToDate.getTime()) return 'certificate has expired';
  return nowMs < certificate.validFromDate.getTime() ? 'certificate is not yet valid' : undefined;
}
