/** Cuts a byte stream into frames, wherever it was split. */
import { PodwrightError } from '#base/errors.ts';
import { frameBytesMax, frameHeaderBytes, versionOffset, wireVersion } from './protocol.ts';

export interface FrameDecoder {
  /** The frames that `chunk` completes. @throws E_UNSUPPORTED for another version, E_INVALID for a length out of bounds. */
  push(chunk: Buffer): readonly Buffer[];
}

export function createFrameDecoder(): FrameDecoder {
  let parts: Buffer[] = [];
  let length = 0;
  let wanted = frameHeaderBytes;
  return {
    push: (chunk) => {
      parts.push(chunk);
      length += chunk.length;
      if (length < wanted) return [];
      const all = parts.length === 1 ? chunk : Buffer.concat(parts, length);
      const frames: Buffer[] = [];
      let at = 0;
      wanted = frameHeaderBytes;
      while (all.length - at >= frameHeaderBytes) {
        const size = checkHeader(all.subarray(at));
        if (all.length - at < size) {
          wanted = size;
          break;
        }
        frames.push(all.subarray(at, at + size));
        at += size;
      }
      parts = at === all.length ? [] : [all.subarray(at)];
      length = all.length - at;
      return frames;
    },
  };
}

function checkHeader(header: Buffer): number {
  const version = header.readUInt8(versionOffset);
  if (version !== wireVersion) {
    throw new PodwrightError('E_UNSUPPORTED', `decode frame: version ${version}, this is ${wireVersion}`);
  }
  const size = header.readUInt32LE(0);
  if (size < frameHeaderBytes || size > frameBytesMax) {
    throw new PodwrightError('E_INVALID', `decode frame: ${size} bytes`);
  }
  return size;
}
