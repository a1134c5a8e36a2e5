import { readFileSync } from 'node:fs';
import { platformOf, type Platform } from '#api/oci/platform.ts';

/** What this machine is, with the level of an x86 processor (proc_cpuinfo(5), "flags"). */
export function machinePlatform(): Platform {
  const flags =
    process.arch === 'x64' ? /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] : '';
  return platformOf(process.arch, new Set((flags ?? '').trim().split(/\s+/)));
}
