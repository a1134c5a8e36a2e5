import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

/** The host that the client named; empty when it named none. */
export function askedHost(headers: ApiRequest['headers']): string {
  return headers['host'] ?? headers[':authority'] ?? '';
}

/**
 * What whoever is asked through the proxy learns of the client: the host that it named, which a page's own links and checks of an Origin go
 * by, and where it is, behind those that it came through before (k8s.io/apimachinery util/proxy, UpgradeAwareHandler). Pure.
 */
export function forwardedHeaders({
  headers,
  caller,
}: Pick<ApiRequest, 'headers' | 'caller'>): Record<string, string> {
  const host = askedHost(headers);
  const address = caller.kind === 'network' ? caller.address : undefined;
  const before = headers['x-forwarded-for'];
  const path = [before, address].filter((hop) => hop !== undefined && hop !== '').join(', ');
  return { ...(host === '' ? {} : { host }), ...(path === '' ? {} : { 'x-forwarded-for': path }) };
}
