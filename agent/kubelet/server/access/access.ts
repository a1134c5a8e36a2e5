import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { askedOf, describeForbidden, type Asked } from './asked.ts';
import type { Caller, Reviews } from './reviews.ts';

/** Who may call the kubelet, by the names of KubeletConfiguration. */
export interface AccessOptions {
  /** Whether who shows nothing is system:anonymous, or is refused. */
  readonly anonymous: boolean;
  /** Whether bearer tokens are reviewed by the API server. */
  readonly tokenWebhook: boolean;
  readonly mode: 'Webhook' | 'AlwaysAllow';
}

export const defaultAccess: AccessOptions = { anonymous: false, tokenWebhook: true, mode: 'Webhook' };

/** What a request is refused with: the body as it is. */
export interface Refusal {
  readonly status: 401 | 403 | 500;
  readonly message: string;
}

/** @param segments of the request's path. @returns why it is refused; undefined: it may */
export type Access = (request: IncomingMessage, segments: readonly string[]) => Promise<Refusal | undefined>;

/**
 * Asks who calls, by client certificate or token, and whether they may, by review. Statuses and words are the kubelet's: who cannot be
 * told, also because the API server does not answer, is unauthorized; whose rights cannot be told is answered with 500.
 */
export function createAccess(options: AccessOptions, reviews: Reviews, logger: Logger): Access {
  return async (request, segments) => {
    const from = request.socket.remoteAddress;
    const path = segments[0] ?? ''; // Of exec/… no more: its command may hold secrets.
    const refuse = (refusal: Refusal, why: string): Refusal => {
      logger.warn({ from, path, error: why.trimEnd() }, 'request to this node refused');
      return refusal;
    };
    const caller = await identify(request, options, reviews);
    if ('unknown' in caller) return refuse({ status: 401, message: 'Unauthorized' }, caller.unknown);
    if (options.mode === 'AlwaysAllow') return undefined;
    if (isForNodes(request.method, segments) && caller.groups.includes('system:nodes')) return undefined;
    const asked = askedOf(request.method, segments);
    for (const subresource of asked.subresources) {
      try {
        if (await reviews.isAllowed(caller, asked.verb, subresource)) return undefined;
      } catch (error) {
        const message = describeUndecided(caller.name, asked, subresource);
        return refuse({ status: 500, message }, `${message}: ${describeError(error)}`);
      }
    }
    const message = describeForbidden(caller.name, asked);
    return refuse({ status: 403, message }, message);
  };
}

/** What nodes ask each other: how far their rules are, and nothing of what is in them (decision 0080). */
function isForNodes(method: string | undefined, segments: readonly string[]): boolean {
  return method === 'GET' && segments.join('/') === 'endpointslices/applied';
}

function describeUndecided(user: string, { verb }: Asked, subresource: string): string {
  return `Authorization error (user=${user}, verb=${verb}, resource=nodes, subresource=${subresource})`;
}

const anonymousCaller: Caller = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** Whoever shows something that is good for nothing is not anonymous. */
async function identify(
  { socket, headers }: IncomingMessage,
  { anonymous, tokenWebhook }: AccessOptions,
  reviews: Reviews,
): Promise<Caller | { readonly unknown: string }> {
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
  const isShown = certificate !== undefined && Object.keys(certificate).length > 0;
  const isOurs = socket instanceof TLSSocket && socket.authorized;
  const byCertificate = isShown && isOurs ? callerOfCertificate(certificate) : undefined;
  if (byCertificate !== undefined) return byCertificate;
  const token = tokenWebhook ? tokenOf(headers) : undefined;
  if (token !== undefined) {
    try {
      const caller = await reviews.callerOf(token);
      return caller === undefined ? { unknown: 'a token that is not valid' } : withAuthenticated(caller);
    } catch (error) {
      return { unknown: `a token that could not be reviewed: ${describeError(error)}` };
    }
  }
  if (isShown) return { unknown: 'no client certificate of this cluster' };
  return anonymous ? anonymousCaller : { unknown: 'no client certificate of this cluster and no token' };
}

/** undefined: it names nobody. */
function callerOfCertificate({ subject, fingerprint256 }: PeerCertificate): Caller | undefined {
  const [name = ''] = [subject.CN].flat();
  if (name === '') return undefined;
  return withAuthenticated({
    name,
    groups: subject.O === undefined ? [] : [subject.O].flat(),
    extra: {
      'authentication.kubernetes.io/credential-id': [
        `X509SHA256=${fingerprint256.replaceAll(':', '').toLowerCase()}`,
      ],
    },
  });
}

function withAuthenticated(caller: Caller): Caller {
  const group = 'system:authenticated';
  return caller.groups.includes(group) ? caller : { ...caller, groups: [...caller.groups, group] };
}

const protocolPrefix = 'base64url.bearer.authorization.k8s.io.';

/** Of the header, or, from a browser's WebSocket, of a protocol that it offers. */
function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^ *Bearer +([^ ]+)/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  const encoded = offered.find((one) => one.startsWith(protocolPrefix))?.slice(protocolPrefix.length);
  return encoded === undefined || encoded === '' ? undefined : Buffer.from(encoded, 'base64url').toString();
}
