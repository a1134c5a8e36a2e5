import { createHash, type Hash } from 'node:crypto';
import { closeSync, createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import { algorithmOf } from '#api/oci/digest.ts';
import { PodwrightError } from '#base/errors.ts';
import { decompress } from './decompress.ts';
import { imageError } from '#agent/runtime/images/image-error.ts';
import { planLayerEntry, type LayerOp } from './layer-entry.ts';
import { LayerWriter } from './layer-writer.ts';
import { readTar } from './tar-reader.ts';

export interface UnpackRequest {
  readonly blob: string; // path of the layer's tar, plain or compressed
  readonly target: string; // an empty directory
  /** Of the layers that it lies on in the image, topmost first: what an entry leaves unsaid, they say. */
  readonly below: readonly string[];
  /** Digest of the blob as the manifest names it; undefined where nothing names it (docker-archive). */
  readonly digest: string | undefined;
  readonly diffId: string; // digest of the tar within
  readonly limits: UnpackLimits;
}

export interface UnpackLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** No real layer comes near; a bomb stops here. */
export const defaultUnpackLimits: UnpackLimits = { entriesMax: 2_000_000, bytesMax: 64 * 1024 ** 3 };

/** Bytes of a tar whose files have at most `bytesMax`: headers, records and empty blocks are less than as much again. */
export function tarBytesMax(bytesMax: number): number {
  return 2 * bytesMax + 1_048_576;
}

export interface UnpackResult {
  readonly entries: number;
  readonly bytes: number; // of all files
  /** Whether it would be another directory on other layers. */
  readonly hasAskedBelow: boolean;
}

/**
 * Unpacks a layer in one streaming pass and verifies both digests. On failure what was written is left to the caller to
 * remove. Blocks while it writes: to be run on a thread of its own.
 *
 * @throws E_INVALID (digest, refused entry, broken tar), E_UNSUPPORTED, E_NO_SPACE, E_LIMIT
 */
export async function unpackLayer(request: UnpackRequest): Promise<UnpackResult> {
  try {
    return await unpack(request);
  } catch (error) {
    throw imageError(`unpack layer ${request.diffId}`, error, request.target);
  }
}

async function unpack(request: UnpackRequest): Promise<UnpackResult> {
  const { limits } = request;
  const blobHash = createHash(algorithmOf(request.digest ?? request.diffId));
  const tarHash = createHash(algorithmOf(request.diffId));
  const file = createReadStream(request.blob, { highWaterMark: 256 * 1024 });
  const plain = await decompress(tap(file, blobHash));
  const writer = new LayerWriter(request.target, request.below);
  const tar = tap(plain, tarHash);
  let entries = 0;
  let bytes = 0;
  for await (const { header, body } of readTar(tar, tarBytesMax(limits.bytesMax))) {
    entries += 1;
    bytes += header.sizeBytes;
    if (entries > limits.entriesMax) throw limit(request, `more than ${limits.entriesMax} entries`);
    if (bytes > limits.bytesMax) throw limit(request, `more than ${limits.bytesMax} bytes`);
    await writeEntry(writer, planLayerEntry(header), body);
  }
  writer.finish();
  verify('layer content', request.diffId, tarHash);
  if (request.digest !== undefined) verify('layer', request.digest, blobHash);
  return { entries, bytes, hasAskedBelow: writer.hasAskedBelow };
}

async function writeEntry(writer: LayerWriter, op: LayerOp, body: AsyncIterable<Buffer>): Promise<void> {
  if (op.op === 'skip') return;
  if (op.op === 'whiteout') return writer.whiteout(op.path);
  if (op.op === 'opaque') return writer.opaque(op.path);
  const file = writer.put(op);
  if (file === undefined || op.node.kind !== 'file') return;
  let isOpen = true;
  try {
    await writer.writeFile(file, op.node, body);
    isOpen = false; // finishFile closes, also when it throws after the close
    writer.finishFile(file, op);
  } finally {
    if (isOpen) closeSync(file.fd);
  }
}

function tap(source: NodeJS.ReadableStream, hash: Hash): Transform {
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  source.on('error', (error) => through.destroy(error));
  through.on('close', () => {
    if ('destroy' in source && typeof source.destroy === 'function') source.destroy();
  });
  source.pipe(through);
  return through;
}

/** `hash`: by the algorithm of what is expected. @throws E_INVALID */
export function verify(what: string, expected: string, hash: Hash): void {
  const found = `${algorithmOf(expected)}:${hash.digest('hex')}`;
  if (found === expected) return;
  throw new PodwrightError('E_INVALID', `verify ${what}: its digest is ${found}, not ${expected}`, {
    detail: { reason: 'digest' },
  });
}

function limit(request: UnpackRequest, why: string): PodwrightError {
  return new PodwrightError('E_LIMIT', `unpack layer ${request.diffId}: ${why}`);
}
