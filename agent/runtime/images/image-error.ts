import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';

const noSpace = new Set(['ENOSPC', 'EDQUOT']);

/**
 * What went wrong with bytes of an image that go to a directory, classified once: our own errors and aborts pass; a full disk is E_NO_SPACE; an
 * errno is E_KERNEL; the rest came from a decoder (zlib, tar) and means that the image is broken.
 */
export function imageError(attempt: string, cause: unknown, directory: string): Error {
  if (isPodwrightError(cause)) return cause;
  if (cause instanceof Error && cause.name === 'AbortError') return cause;
  const code = errnoOf(cause);
  if (code !== undefined && noSpace.has(code)) {
    // Not the errno's own words as well, which say the same and not where.
    return new PodwrightError('E_NO_SPACE', `${attempt}: no space left in ${directory}; free some there`, {
      detail: { errno: code },
    });
  }
  if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) {
    const why = cause instanceof Error ? cause.message : code;
    return new PodwrightError('E_KERNEL', `${attempt}: ${why}`, { cause, detail: { errno: code } });
  }
  // tar-stream destroys the entry in hand when the archive ends within it, and its reader may hear of that first.
  const truncated =
    code === 'Z_BUF_ERROR' ||
    (cause instanceof Error && /unexpected end|stream was destroyed/i.test(cause.message));
  const why = truncated ? 'it is cut short' : cause instanceof Error ? cause.message : String(cause);
  return new PodwrightError('E_INVALID', `${attempt}: ${why}`, { cause });
}
