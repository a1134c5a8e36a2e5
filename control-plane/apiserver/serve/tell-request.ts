import { describeError, isPodwrightError } from '#base/errors.ts';
import { reasonOf } from '#client/api-error.ts';
import type { ApiRequest, Caller } from './request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** A request that takes this long to be begun to be answered is told of. */
export const slowSeconds = 1;

interface Refusal {
  readonly status: number;
  readonly error: unknown;
}

/**
 * What the server's log says of a request that was refused: nothing of its query, headers or body, which may hold secrets. What is
 * merely not there or was changed meanwhile is the ordinary course.
 */
export function tellRefusal(
  { logger }: Pick<ServerContext, 'logger'>,
  { method, path, caller, headers }: ApiRequest,
  { status, error }: Refusal,
): void {
  const request = { method, path, from: whereOf(caller) };
  if (status >= 500) logger.error({ ...request, error: describeError(error) }, 'request failed');
  else if (status === 401) {
    const by = /^Bearer /i.test(headers['authorization'] ?? '') ? 'bearer token' : 'authorization header';
    const remedy = 'renew the token or kubeconfig of that client, if it is one of yours';
    logger.warn({ from: request.from, by, why: whyOf(error), remedy }, 'authentication failed');
  } else if (![404, 409, 410, 429].includes(status)) {
    const who = caller.kind === 'network' ? caller.certificate?.commonName : caller.user.name;
    logger.debug({ ...request, who, code: status, reason: reasonOf(error) }, 'request refused');
  }
}

/** Characters of foreign making (a token's claims) that a line of the log takes. */
const whyLengthMax = 500;

function whyOf(error: unknown): string | undefined {
  const why = isPodwrightError(error) ? error.detail['why'] : undefined;
  return typeof why === 'string' ? why.slice(0, whyLengthMax) : undefined;
}

export function tellSlow(
  { logger }: Pick<ServerContext, 'logger'>,
  { method, path, caller }: ApiRequest,
  { verb, status, seconds }: { readonly verb: string; readonly status: number; readonly seconds: number },
): void {
  const ms = Math.round(seconds * 1000);
  logger.warn({ method, path, verb, from: whereOf(caller), code: status, ms }, 'slow request');
}

function whereOf(caller: Caller): string {
  return caller.kind === 'network' ? (caller.address ?? 'unknown') : 'this process';
}
