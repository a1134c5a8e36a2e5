import { PodwrightError } from '#base/errors.ts';

/** An event larger than this ends the watch: objects are at most 3 MiB on the wire. */
const lineBytesMax = 16 * 1_048_576;

/** The JSON values of a stream with one value per line, whatever the pieces it comes in. */
export async function* jsonLines(
  body: Uint8Array | AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown, void, void> {
  if (body instanceof Uint8Array) {
    yield* parseLines(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    return;
  }
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const piece of body) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const end = chunk.lastIndexOf(0x0a);
    if (end < 0) {
      rest.push(chunk);
      restBytes += chunk.length;
      if (restBytes > lineBytesMax) {
        throw new PodwrightError('E_LIMIT', `read a watch event: longer than ${lineBytesMax} bytes`);
      }
      continue;
    }
    const whole =
      rest.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...rest, chunk.subarray(0, end)]);
    rest = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    restBytes = chunk.length - end - 1;
    yield* parseLines(whole);
  }
  if (restBytes > 0) yield* parseLines(Buffer.concat(rest));
}

function* parseLines(bytes: Buffer): Generator<unknown, void, void> {
  for (const line of bytes.toString('utf8').split('\n')) {
    if (line.trim() === '') continue;
    try {
      yield JSON.parse(line) as unknown;
    } catch (error) {
      // The connection broke in the middle of an event: the same as an end, and the watch resumes.
      throw new PodwrightError('E_CONNECTION', 'read a watch event: not whole JSON', { cause: error });
    }
  }
}
