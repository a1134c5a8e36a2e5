import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { badRequest } from '#api/errors/status.ts';
import { classOfIp } from '#base/ip-class.ts';

/** Whether the server lets itself be sent there. Who writes the status of a pod or node, or a slice, names any address. */
export type MayDial = (address: string) => boolean;

/**
 * Not this host by whatever name, not its link, not everybody: there, what the server reaches is not what its clients may
 * (kube-apiserver's proxyutil.IsProxyableIP, and more forms of the same addresses).
 */
export const isDialable: MayDial = (address) => classOfIp(address) === 'ordinary';

/** 400, in kube-apiserver's words. */
export function notAllowed(): Error {
  return badRequest('address not allowed');
}

/** @throws {E_API} 400 for an address that may not be dialled; what is a name is looked at when it is resolved */
export function checkHost(host: string, mayDial: MayDial): void {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  if (classOfIp(address) !== undefined && !mayDial(address)) throw notAllowed();
}

/**
 * Resolves names for a connection that is about to be made. It is to the very addresses that were looked at, so that no second
 * answer can lead elsewhere; one bad address among them is enough.
 */
export function guardedLookup(mayDial: MayDial): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const [first] = found;
      if (first === undefined || !found.every(({ address }) => mayDial(address))) {
        return callback(notAllowed(), []);
      }
      if (options.all === true) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}
