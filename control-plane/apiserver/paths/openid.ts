import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';

/*
 * What others need to tell tokens of this cluster's service accounts (OpenID Connect Discovery 1.0, section 3; KEP 1393). Only where the
 * issuer is an https URL: nobody could look for it elsewhere.
 */

/** Others may keep them for so long (pkg/routes/openidmetadata.go). */
const kept = 'public, max-age=3600';

/** Where the keys are, and how they sign. */
export function openIdConfiguration(
  { tokens, tokenPolicy, advertise }: ServerContext,
  request: ApiRequest,
): ApiResponse {
  return answer(tokens.issuers[0], request, 'application/json', {
    issuer: tokens.issuers[0],
    jwks_uri: tokenPolicy.jwksUri ?? `https://${advertise.host}:${advertise.port}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: tokens.algorithms(),
  });
}

/** All keys of which tokens are taken. */
export function openIdKeys({ tokens }: ServerContext, request: ApiRequest): ApiResponse {
  return answer(tokens.issuers[0], request, 'application/jwk-set+json', { keys: tokens.publicJwks() });
}

function answer(
  issuer: string | undefined,
  { headers }: ApiRequest,
  type: string,
  body: object,
): ApiResponse {
  if (issuer?.startsWith('https://') !== true) return textResponse(404, '404 page not found\n');
  if (!isAccepted(headers['accept'], type))
    return textResponse(406, `406: Not Acceptable\n\nAvailable representations: ${type}`);
  return {
    status: 200,
    headers: { 'content-type': type, 'cache-control': kept },
    body: Buffer.from(JSON.stringify(body)),
  };
}

function isAccepted(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const ranges = accept.split(',').map((range) => (range.split(';')[0] ?? '').trim().toLowerCase());
  return ranges.some((range) => ['*/*', 'application/*', type].includes(range));
}
