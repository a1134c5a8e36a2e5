/** An answer that leads elsewhere. */
export interface Redirecting {
  readonly code: number;
  readonly location: string | undefined;
  /** What was asked. */
  readonly url: URL;
  readonly method: Method;
}

export type Method = 'POST' | 'GET';

/** Where a redirect leads: asked in the same way where the code says so (307, 308), else without the question. */
export interface Redirect {
  readonly url: URL;
  readonly method: Method;
}

/** As Go's client, of a request whose redirects nobody checks. */
export const redirectsMax = 10;

const keepsMethod: ReadonlySet<number> = new Set([307, 308]);
const losesMethod: ReadonlySet<number> = new Set([301, 302, 303]);

/** undefined: it is an answer; `reason`: it leads nowhere. Only to TLS, other than Go: a question holds whole objects. Pure. */
export function redirectOf({
  code,
  location,
  url,
  method,
}: Redirecting): Redirect | { readonly reason: string } | undefined {
  if (!keepsMethod.has(code) && !losesMethod.has(code)) return undefined;
  if (location === undefined)
    return keepsMethod.has(code) ? undefined : { reason: `${code} response missing Location header` };
  const next = URL.parse(location, url);
  if (next === null) return { reason: `failed to parse Location header ${JSON.stringify(location)}` };
  if (next.protocol !== 'https:') return { reason: `${next.protocol}// in a redirect is not followed` };
  return { url: next, method: keepsMethod.has(code) ? method : 'GET' };
}
