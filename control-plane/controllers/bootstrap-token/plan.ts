import { hasTokenExpired, type BootstrapToken } from '#api/bootstrap-token/bootstrap-token.ts';

/** What is signed, and under which names the signatures lie beside it (cluster-bootstrap/token/api). */
export const kubeconfigKey = 'kubeconfig';
export const signaturePrefix = 'jws-kubeconfig-';

type Data = Readonly<Record<string, string>>;

/**
 * The data of cluster-info with one signature for each token that signs and has not ended, and none of others; undefined: it is so
 * already, or there is nothing to sign (pkg/controller/bootstrap, bootstrapsigner).
 */
export function withSignatures(data: Data, signatures: ReadonlyMap<string, string>): Data | undefined {
  if (data[kubeconfigKey] === undefined) return undefined;
  const others = Object.entries(data).filter(([key]) => !key.startsWith(signaturePrefix));
  const own = [...signatures].map(([id, signature]) => [`${signaturePrefix}${id}`, signature] as const);
  const next = Object.fromEntries([...others, ...own]);
  const isSame =
    Object.keys(next).length === Object.keys(data).length &&
    Object.entries(next).every(([key, value]) => data[key] === value);
  return isSame ? undefined : next;
}

/** Those of the tokens by which is signed. */
export function signingTokens(tokens: readonly BootstrapToken[], nowMs: number): readonly BootstrapToken[] {
  return tokens.filter((token) => token.isForSigning && !hasTokenExpired(token, nowMs));
}
