import { methodNotAllowed } from '#api/errors/status.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';

/** What a port beside that of the API answers, by path: who asks, and may, is found out as for any path of the API. */
export type PortPaths = ReadonlyMap<string, PortAnswer>;

export type PortAnswer = (request: ApiRequest) => ApiResponse | Promise<ApiResponse>;

export async function answerPort(paths: PortPaths, request: ApiRequest): Promise<ApiResponse> {
  const answer = paths.get(request.path);
  if (answer === undefined) return textResponse(404, '404 page not found\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  return answer(request);
}
