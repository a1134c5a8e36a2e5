/** Mounts of NFS, tried as mount.nfs(8) tries them. */
import type { Ip } from '#base/ip.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { parseNfsOptions, planNfs, type NfsMount, type NfsWish } from './plan-nfs.ts';

/** What it asks of the node. */
export interface NfsPorts {
  /** The server's addresses, by the node's own resolver. @throws */
  lookup(server: string): Promise<readonly Ip[]>;
  /** Whether the server takes connections, and the address that it is reached from. @throws E_CONNECTION, E_TIMEOUT */
  reach(server: Ip, port: number, signal: AbortSignal): Promise<Ip>;
  /** mount(2), which may wait for as long as the server does: not on this thread. @throws */
  mount(target: string, call: NfsMount, signal: AbortSignal): Promise<void>;
}

/**
 * The server's first address that answers, and the newest version that both know. @throws PodwrightError whose message is the event's:
 * E_NOT_FOUND, E_CONNECTION, E_PERMISSION, E_UNSUPPORTED, E_INVALID
 */
export async function mountNfs(
  target: string,
  wish: NfsWish,
  { ports, signal }: { readonly ports: NfsPorts; readonly signal: AbortSignal },
): Promise<void> {
  const what = `mount ${wish.server}:${wish.path}`;
  const options = parseNfsOptions(wish);
  const addresses = await ports.lookup(wish.server).catch((cause: unknown) => {
    throw new PodwrightError('E_NOT_FOUND', `${what}: ${describeError(cause)}`, { cause });
  });
  let failure: unknown = new PodwrightError('E_NOT_FOUND', `${what}: the server's name has no address`);
  for (const address of addresses) {
    try {
      const own = await ports.reach(address, options.port, signal);
      await mountFirst(target, planNfs(wish, options, { address, own }), { ports, signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      failure = explained(what, error);
    }
  }
  throw failure;
}

async function mountFirst(
  target: string,
  calls: readonly NfsMount[],
  { ports, signal }: { readonly ports: NfsPorts; readonly signal: AbortSignal },
): Promise<void> {
  let failure: unknown;
  for (const call of calls) {
    try {
      await ports.mount(target, call, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      // The first says the most: older versions may be off on purpose.
      failure ??= error;
      if (!isOfVersion(error)) throw error;
    }
  }
  throw failure;
}

/** The server, or the kernel, does not have the version (EINVAL: a kernel that does not know the number). */
function isOfVersion(error: unknown): boolean {
  return ['EPROTONOSUPPORT', 'EINVAL', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '');
}

const reasons: Readonly<Record<string, readonly [PodwrightError['code'], string]>> = {
  ENODEV: ['E_UNSUPPORTED', 'this node’s kernel has no NFS (modprobe nfs, or a kernel with CONFIG_NFS_V4)'],
  EACCES: ['E_PERMISSION', 'access denied by server'],
  EPERM: ['E_PERMISSION', 'access denied by server'],
  ENOENT: ['E_NOT_FOUND', 'the server has no such path'],
  EPROTONOSUPPORT: ['E_UNSUPPORTED', 'requested NFS version or transport protocol is not supported'],
  EINVAL: ['E_INVALID', 'an incorrect mount option was specified'],
};

/** In the words of mount.nfs(8), by what mount(2) said. */
function explained(what: string, cause: unknown): PodwrightError {
  const [code, why] = reasons[errnoOf(cause) ?? ''] ?? ['E_CONNECTION', describeError(cause)];
  return new PodwrightError(code, `${what}: ${why}`, { cause });
}
