import type { Clock } from '#base/clock.ts';
import {
  parseTrustBundle,
  untrustedBy,
  type TrustBundle,
} from '#control-plane/apiserver/pki/trust-bundle.ts';
import type { ApiRequest, ClientCertificate } from '#control-plane/apiserver/serve/request.ts';

/** Bundles that may change while the server runs. */
export type CurrentBundle = () => TrustBundle | undefined;

/** A bundle of a text that may change, parsed once for each. */
export function bundleOf(pem: () => string): () => TrustBundle {
  let known: { readonly text: string; readonly bundle: TrustBundle } | undefined;
  return () => {
    const text = pem();
    if (known?.text !== text) known = { text, bundle: parseTrustBundle(text) };
    return known.bundle;
  };
}

/** What is wrong with a certificate as of one of the bundle's, '' for nothing. */
export type Judge = (certificate: ClientCertificate) => string | Promise<string>;

interface Judgement {
  readonly bundle: TrustBundle;
  readonly problem: string;
  /** Until when it stands, as long as the bundle is the same. */
  readonly untilMs: number;
}

/** A judgement is made anew after this long: authorities expire, too. */
const judgementMs = 60_000;

/**
 * Judges client certificates by a bundle. Each of a connection's requests asks: the signature is looked at now and then, and whenever the
 * bundle is another one; the date always.
 */
export function judgeBy(current: CurrentBundle, clock: Pick<Clock, 'now'>): Judge {
  const judgements = new WeakMap<ClientCertificate, Judgement>();
  return (certificate) => {
    const bundle = current();
    if (bundle === undefined) return 'no authority is believed';
    if (certificate.problem !== undefined) return describe(certificate, certificate.problem);
    const nowMs = clock.now();
    const known = judgements.get(certificate);
    if (known !== undefined && known.bundle === bundle && nowMs < known.untilMs) return known.problem;
    return untrustedBy(bundle, certificate.chain, nowMs).then((why) => {
      const problem = why === undefined ? '' : describe(certificate, why);
      const endMs = certificate.chain[0]?.validToDate.getTime() ?? 0;
      const untilMs = Math.min(nowMs + judgementMs, endMs > nowMs ? endMs : Infinity);
      judgements.set(certificate, { bundle, problem, untilMs });
      return problem;
    });
  };
}

function describe({ commonName, fingerprint }: ClientCertificate, why: string): string {
  return `verifying certificate CN=${JSON.stringify(commonName)} SHA256=${fingerprint} failed: x509: ${why}`;
}

/** What the client showed; undefined for none, and in process. */
export function certificateOf({ caller }: Pick<ApiRequest, 'caller'>): ClientCertificate | undefined {
  return caller.kind === 'network' ? caller.certificate : undefined;
}
