import { X509Certificate } from 'node:crypto';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';
import {
  csrHonoredDuration,
  csrRequestedDuration,
  type Counting,
} from '#control-plane/apiserver/serve/counters.ts';

/** Signers that are told by name; others could be any number. */
const namedSigners: ReadonlySet<string> = new Set([
  'kubernetes.io/kube-apiserver-client',
  'kubernetes.io/kube-apiserver-client-kubelet',
  'kubernetes.io/kubelet-serving',
  'kubernetes.io/legacy-unknown',
]);

/** A certificate that was issued first, for a request that says how long it is to live: whether it does (pkg/registry/certificates, metrics.go). */
export function countDuration(
  counting: Counting,
  old: JsonObject | undefined,
  object: JsonObject | undefined,
): void {
  const wanted = at(old, 'spec.expirationSeconds');
  const pem = stringOf(at(object, 'status.certificate'));
  if (typeof wanted !== 'number' || pem === '' || stringOf(at(old, 'status.certificate')) !== '') return;
  const seconds = lifetimeSeconds(pem);
  if (seconds === undefined) return;
  const signer = stringOf(at(old, 'spec.signerName'));
  const labels = { signerName: namedSigners.has(signer) ? signer : 'other' };
  counting.count(csrRequestedDuration, labels);
  if (isHonored(wanted, seconds)) counting.count(csrHonoredDuration, labels);
}

/** Of the first of base64 of PEM; undefined for what is none. */
function lifetimeSeconds(text: string): number | undefined {
  try {
    const { validFromDate, validToDate } = new X509Certificate(Buffer.from(text, 'base64'));
    return (validToDate.getTime() - validFromDate.getTime()) / 1000;
  } catch {
    return undefined; // Whoever wrote it is told by validation.
  }
}

/** Signers date certificates back by minutes, and may take some of a short life. Pure. */
export function isHonored(wantedSeconds: number, seconds: number): boolean {
  return Math.abs(wantedSeconds - seconds) < 300 + wantedSeconds / 20;
}
