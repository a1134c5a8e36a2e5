import type { Readable } from 'node:stream';
import { documentBytesMax } from '#api/oci/document.ts';
import type { Clock } from '#base/clock.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';

/** A small answer, from its first byte to its last. */
const documentMsMax = 120_000;
const progressMs = 300_000;
/** What of a layer comes in five minutes (containerd's image_pull_progress_timeout), at least: a byte now and then is no progress. */
export const progressBytesMin = 65_536;

/** All of a small answer. @throws E_LIMIT, E_CONNECTION where it ends before its end, or goes on too long */
export async function readBody(
  { url, body }: { readonly url: URL; readonly body: Readable },
  clock: Clock,
): Promise<Buffer> {
  const late = `read answer of ${url.host}: not whole after ${documentMsMax / 1000} s`;
  using _timer = clock.after(documentMsMax, () => body.destroy(new PodwrightError('E_CONNECTION', late)));

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

export interface Progress extends Disposable {
  came(bytes: number): void;
}

/** Ends what comes too slowly to be waited for. */
export function expectProgress(clock: Clock, end: (error: PodwrightError) => void): Progress {
  let bytes = 0;
  let timer: Disposable;
  const look = (): void => {
    if (bytes < progressBytesMin) {
      const what = `${bytes} bytes in ${progressMs / 1000} s, ${progressBytesMin} are waited for`;
      end(new PodwrightError('E_CONNECTION', `read answer of registry: ${what}`));
      return;
    }
    bytes = 0;
    timer = clock.after(progressMs, look);
  };
  timer = clock.after(progressMs, look);
  return { came: (count) => void (bytes += count), [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
