import { PodwrightError } from '#base/errors.ts';

/**
 * The file of a per-namespace sysctl: `net.ipv4.ip_forward`, or with slashes where a link's name has a dot
 * (`net/ipv4/conf/eth0.100/forwarding`), as sysctl(8) reads them.
 * @throws E_INVALID for keys outside net., which belong to the whole machine
 */
export function sysctlPath(key: string): string {
  const parts = key.split(key.includes('/') ? '/' : '.');
  const isSound = parts.every((part) => /^[\w.-]+$/.test(part) && part !== '.' && part !== '..');
  if (parts[0] === 'net' && parts.length > 1 && isSound) return `/proc/sys/${parts.join('/')}`;
  throw new PodwrightError('E_INVALID', `use sysctl ${key}: not a key of a network namespace (net.…)`);
}
