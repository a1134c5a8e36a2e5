/** The static busybox of this machine: what the demo image and the tests' root file systems are made of. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where `podwright setup` puts Debian's where the machine's own is missing or not static (many hosts have one for their initramfs). */
export const ownBusyboxPath: string = fileURLToPath(new URL('../../build/busybox', import.meta.url));
const candidates: readonly string[] = ['/bin/busybox', ownBusyboxPath];

/** The headers of a program for this processor fit, and no more is read of it. */
const headBytesMax = 4096;

/** The first static one; undefined where there is none. At start only: it blocks. */
export function findBusybox(paths: readonly string[] = candidates): string | undefined {
  return paths.find((path) => existsSync(path) && isStaticElf(readHead(path)));
}

function readHead(path: string): Buffer {
  const fd = openSync(path, 'r');
  using undo = new DisposableStack();
  undo.defer(() => closeSync(fd));

  const head = Buffer.alloc(headBytesMax);
  return head.subarray(0, readSync(fd, head));
}

/** A 64-bit ELF program without an interpreter (PT_INTERP), which a container without its libraries can run. elf(5). Pure. */
export function isStaticElf(head: Buffer): boolean {
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) return false;
  const offset = Number(head.readBigUInt64LE(32)); // e_phoff
  const [size, count] = [head.readUInt16LE(54), head.readUInt16LE(56)]; // e_phentsize, e_phnum
  if (count === 0 || offset + size * count > head.length) return false;
  return !Array.from({ length: count }, (_, index) => head.readUInt32LE(offset + size * index)).includes(3);
}
