import { checked } from './errno.ts';
import { close, open } from './libc.ts';
import { O_CLOEXEC } from './constants.ts';

/** A file descriptor with an owner: closed once, by `using` or by hand. */
export class OwnedFd implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The number, for calls made while this is open. @throws {RangeError} after close, so that a reused number is never hit. */
  get fd(): number {
    if (this.#fd < 0) throw new RangeError('file descriptor is closed');
    return this.#fd;
  }

  /** Gives the number away: closing is the caller's from here on. */
  takeFd(): number {
    const fd = this.fd;
    this.#fd = -1;
    return fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    // EINTR or EIO of close(2) still closed it: there is nothing to try again.
    close(fd);
  }
}

/** open(2), always with O_CLOEXEC. @throws E_NOT_FOUND, E_PERMISSION, … */
export function openFd(path: string, flags: number, mode = 0): OwnedFd {
  return new OwnedFd(checked(open(path, flags | O_CLOEXEC, mode), () => `open ${path}`));
}
