import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { forwardedHeaders } from './forwarded.ts';
import type { Target } from './target.ts';

/** Headers that the node must not see, besides those that say who asks: who the client is, is settled here. */
const withheld = /^(host|x-forwarded-for|authorization|content-length|transfer-encoding)$/i;

/** The others of headers that came as names and values in turns. Pure. */
export function withoutHeaders(
  rawHeaders: readonly string[],
  isLeftOut: (name: string) => boolean,
): readonly string[] {
  return rawHeaders.filter((_text, index) => !isLeftOut(rawHeaders[index - (index % 2)] ?? ''));
}

/** The request as the node gets it. Pure. */
export function renderHead(request: ApiRequest, target: Target, rawHeaders: readonly string[]): string {
  const { host = `${target.endpoint.host}:${target.endpoint.port}`, ...forwarded } =
    forwardedHeaders(request);
  const lines = [
    `${request.method} ${target.path} HTTP/1.1`,
    `Host: ${host}`,
    ...Object.entries(forwarded).map(([name, value]) => `${name}: ${value}`),
  ];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!withheld.test(name)) lines.push(`${name}: ${rawHeaders[index + 1] ?? ''}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
