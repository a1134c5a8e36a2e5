import { X509Certificate } from 'node:crypto';
import { family } from './exposition.ts';

export interface NodeCertificates {
  /** PEM; undefined: the node is known by something else. */
  readonly client: string | undefined;
  readonly serving: string | undefined;
  /** How often another of the latter was asked for in vain. */
  readonly servingNotRenewed: number;
}

/** How long the certificates of a node are good for (cmd/kubelet/app/server.go, pkg/kubelet/certificate). Pure. */
export function renderCertificates(
  { client, serving, servingNotRenewed }: NodeCertificates,
  nowMs: number,
): string {
  const until = 'The value is in seconds until certificate expiry (negative if already expired).';
  return [
    ...family(
      'kubelet_certificate_manager_client_ttl_seconds',
      {
        type: 'gauge',
        help: `[ALPHA] Gauge of the TTL (time-to-live) of the Kubelet's client certificate. ${until} If client certificate is invalid or unused, the value will be +INF.`,
      },
      [['', secondsLeft(client, nowMs), undefined]],
    ),
    ...family(
      'kubelet_certificate_manager_server_ttl_seconds',
      {
        type: 'gauge',
        help: `[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. ${until} If serving certificate is invalid or unused, the value will be +INF.`,
      },
      [['', secondsLeft(serving, nowMs), undefined]],
    ),
    ...family(
      'kubelet_server_expiration_renew_errors',
      { type: 'counter', help: '[ALPHA] Counter of certificate renewal errors.' },
      [['', servingNotRenewed, undefined]],
    ),
    '',
  ].join('\n');
}

/** Of the first certificate of the text. */
function secondsLeft(pem: string | undefined, nowMs: number): number {
  if (pem === undefined) return Infinity;
  try {
    return Math.trunc((Date.parse(new X509Certificate(pem).validTo) - nowMs) / 1000);
  } catch {
    return Infinity;
  }
}
