import type { Duplex } from 'node:stream';
import { serviceUnavailable } from '#api/errors/status.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import {
  answerHeaders,
  bodyOf,
  lengthHeaders,
  passedHeaders,
  pipe,
} from '#control-plane/apiserver/nodes/connect.ts';
import { renderHead, withoutHeaders } from '#control-plane/apiserver/nodes/upgrade-head.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { identityHeaders } from './identity-headers.ts';
import { serverNameOf } from './remote-connections.ts';
import type { RemoteService } from './remote-service.ts';

/** Passes a request on to the server that answers its group version, and the answer back as it comes. @throws {E_API} 503 */
export async function proxyRemote(
  context: ServerContext,
  remote: RemoteService,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  if (!remote.isAvailable) return unavailable();
  const { connections } = context.aggregation;
  const endpoint = await connections.find(remote).catch(() => undefined);
  if (endpoint === undefined) return unavailable();
  const body = await bodyOf(request);
  const identity = Map.groupBy(identityHeaders(request.user), ([name]) => name);
  const answer = await connections
    .request(remote, endpoint, {
      method: request.method,
      path: pathOf(request),
      headers: {
        ...passedHeaders(request, context.authentication.isIdentityHeader),
        ...lengthHeaders(request, body),
        host: serverNameOf(remote),
        ...Object.fromEntries([...identity].map(([name, pairs]) => [name, pairs.map(([, value]) => value)])),
      },
      body,
      signal: AbortSignal.any([request.signal, context.closing]),
    })
    .catch((error: unknown) => {
      throw unreachable(error);
    });
  request.begun();
  return {
    status: answer.statusCode ?? 502,
    headers: answerHeaders(answer),
    body: (sink) => pipe(answer, sink),
  };
}

/** As `proxyRemote`, of an upgrade: a connection on which the request was sent. @throws {E_API} 503 */
export async function openRemoteStream(
  context: ServerContext,
  remote: RemoteService,
  { request, rawHeaders }: { readonly request: AuthorizedRequest; readonly rawHeaders: readonly string[] },
): Promise<{ readonly socket: Duplex; readonly head: string }> {
  const { connections } = context.aggregation;
  if (!remote.isAvailable) throw serviceUnavailable('service unavailable');
  try {
    const endpoint = await connections.find(remote);
    const socket = await connections.connect(remote, endpoint);
    const own = withoutHeaders(rawHeaders, context.authentication.isIdentityHeader);
    const target = { endpoint: { ...endpoint, scheme: 'https' as const }, path: pathOf(request) };
    return { socket, head: renderHead(request, target, [...own, ...identityHeaders(request.user).flat()]) };
  } catch (error) {
    throw unreachable(error);
  }
}

function pathOf({ path, rawQuery, query }: AuthorizedRequest): string {
  const text = rawQuery ?? query.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** As kube-aggregator's proxy says it: plain text. */
function unavailable(): ApiResponse {
  return textResponse(503, 'service unavailable\n');
}

function unreachable(error: unknown): unknown {
  if (!isPodwrightError(error, 'E_CONNECTION')) return error;
  return serviceUnavailable(`error trying to reach service: ${describeError(error)}`);
}
