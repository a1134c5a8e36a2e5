import { errnoOf } from '#base/errors.ts';
import { isObject, stringOf } from '#api/wire/json.ts';

/** Words of client-go for an answer without success (apimachinery/pkg/api/errors, NewGenericServerResponse). */
export function describeStatus(code: number, body: string): string {
  const own = statusMessage(body);
  if (own !== undefined) return own;
  const said = body.trim() === '' ? 'unknown' : body.trim();
  const known = statusTexts[code];
  if (known !== undefined) return known;
  if (code === 403 || code === 406 || code === 415) return said;
  return code >= 500
    ? `an error on the server (${JSON.stringify(said)}) has prevented the request from succeeding`
    : `the server responded with the status code ${code} but did not return more information`;
}

const statusTexts: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  409: 'the server reported a conflict',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};

/** A failure that is said as Kubernetes says it. */
function statusMessage(body: string): string | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(body);
    const isStatus = isObject(value) && value['kind'] === 'Status' && stringOf(value['message']) !== '';
    return isStatus ? stringOf(value['message']) : undefined;
  } catch {
    return undefined;
  }
}

const unknownAuthority: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

/** Words of Go for a connection that failed. `address` is what was dialled, `host` whose certificate was asked for. */
export function describeFailure(
  error: unknown,
  { address, host }: { readonly address: string; readonly host: string },
): string {
  const code = errnoOf(error) ?? '';
  const message = error instanceof Error ? error.message : String(error);
  if (unknownAuthority.has(code)) return `${unverified}certificate signed by unknown authority`;
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${unverified}${wrongName(error, host)}`;
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return `${unverified}certificate has expired or is not yet valid`;
    case 'ECONNREFUSED':
      return `dial tcp ${address}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `dial tcp ${address}: connect: no route to host`;
    case 'ENETUNREACH':
      return `dial tcp ${address}: connect: network is unreachable`;
    case 'ETIMEDOUT':
      return `dial tcp ${address}: connect: connection timed out`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${host}: ${code === 'ENOTFOUND' ? 'no such host' : 'Temporary failure in name resolution'}`;
    case 'ECONNRESET':
      return message.includes('hang up') ? 'EOF' : `read tcp ${address}: read: connection reset by peer`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return isPlain(message) ? 'tls: first record does not look like a TLS handshake' : message;
    default:
      return isPlain(message) ? 'tls: first record does not look like a TLS handshake' : message;
  }
}

const unverified = 'tls: failed to verify certificate: x509: ';

function isPlain(message: string): boolean {
  return /wrong version number|http request|packet length too long|record layer failure/i.test(message);
}

/** As Go tells for which names a certificate is (crypto/x509, HostnameError). */
function wrongName(error: unknown, host: string): string {
  const cert = error instanceof Error && 'cert' in error && isObject(error.cert) ? error.cert : {};
  const names = stringOf(cert['subjectaltname'])
    .split(', ')
    .filter((name) => name !== '');
  if (names.length === 0) return 'certificate relies on legacy Common Name field, use SANs instead';
  const isIp = /^[\d.]+$|:/.test(host);
  const own = names
    .filter((name) => name.startsWith(isIp ? 'IP Address:' : 'DNS:'))
    .map((name) => name.slice(name.indexOf(':') + 1));
  if (own.length === 0 && isIp)
    return `cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
  return `certificate is valid for ${own.join(', ')}, not ${host}`;
}
