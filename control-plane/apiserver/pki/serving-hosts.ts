import { hostname, networkInterfaces } from 'node:os';
import { classOfIp } from '#base/ip-class.ts';

/** Every name and address by which a client may have reached this host. */
export function servingHosts(
  advertiseAddress: string,
  firstServiceAddress: string,
  more: readonly string[] = [],
): readonly string[] {
  const local = Object.values(networkInterfaces()).flatMap((addresses) =>
    // Link-local addresses change with the machine's cards, and no client names one.
    (addresses ?? []).flatMap(({ family, address }) =>
      family === 'IPv4' || classOfIp(address) === 'ordinary' ? [address] : [],
    ),
  );
  const known = [
    '127.0.0.1',
    '::1',
    'localhost',
    hostname(),
    advertiseAddress,
    firstServiceAddress,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    ...local,
    ...more,
  ];
  return [...new Set(known)];
}
