import type { Readable } from 'node:stream';
import { documentBytesMax } from '#api/oci/document.ts';
import { PodwrightError } from '#base/errors.ts';

/** All of a small answer. @throws E_LIMIT */
export async function readBody(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > documentBytesMax) {
      body.destroy();
      throw new PodwrightError('E_LIMIT', `read answer of registry: larger than ${documentBytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
