/** As whom the server shows itself to a hook. */
export interface HookIdentity {
  readonly certPem?: string | undefined;
  readonly keyPem?: string | undefined;
  readonly token?: string | undefined;
}

/**
 * Which name of a kubeconfig's users is about a host, of those that there are (apiserver/pkg/util/webhook/authentication.go): the host with its
 * port, where that is not 443 without it being said; then with a star for its first parts, the longest rest first; then the star alone.
 */
export function identityNameOf(names: ReadonlySet<string>, hostAndPort: string): string | undefined {
  const isDefault = hostAndPort.endsWith(':443');
  const host = isDefault ? hostAndPort.slice(0, -':443'.length) : hostAndPort;
  const labels = host.split('.');
  const candidates = [
    hostAndPort,
    host,
    ...labels.slice(1).map((_label, index) => `*.${labels.slice(index + 1).join('.')}`),
    '*',
  ];
  return candidates.find((name) => names.has(name));
}
