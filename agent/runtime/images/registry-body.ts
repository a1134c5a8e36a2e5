import { documentBytesMax } from '#api/oci/document.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { RegistryResponse } from './registry-transport.ts';

/** All of a small answer. @throws E_LIMIT, E_CONNECTION where it ends before its end */
export async function readBody({ url, body }: Pick<RegistryResponse, 'url' | 'body'>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > documentBytesMax) {
        throw new PodwrightError('E_LIMIT', `read answer of registry: larger than ${documentBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (isPodwrightError(cause)) throw cause;
    const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
    throw new PodwrightError('E_CONNECTION', `read answer of ${url.host}: ${why}`, { cause });
  }
  return Buffer.concat(chunks);
}
