import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { sysctlNamespace } from '#api/pod/sysctls.ts';
import { safeSysctls, sysctlRefusal } from './sysctls.ts';

const podOf = (name: string, spec: { hostNetwork?: boolean; hostIPC?: boolean } = {}): Pod => ({
  metadata: { name: 'p' },
  spec: { containers: [], securityContext: { sysctls: [{ name, value: '1' }] }, ...spec },
});
const messageOf = (pod: Pod): string | undefined => sysctlRefusal(pod)?.message;

describe('sysctlRefusal()', () => {
  it('takes what is safe in namespaces of its own, and knows the namespace of each', () => {
    for (const name of safeSysctls) {
      expect([name, messageOf(podOf(name)), sysctlNamespace(name) === undefined]).toEqual([
        name,
        undefined,
        false,
      ]);
    }
  });

  it('refuses each safe one where its namespace is the host’s, however it is written', () => {
    for (const name of safeSysctls) {
      for (const written of [name, name.replaceAll('.', '/')]) {
        const isNet = name.startsWith('net.');
        const refused = sysctlRefusal(podOf(written, isNet ? { hostNetwork: true } : { hostIPC: true }));
        expect(refused).toEqual({
          reason: 'SysctlForbidden',
          message: `forbidden sysctl: "${name}" not allowed with host ${isNet ? 'net' : 'ipc'} enabled`,
        });
        expect(messageOf(podOf(written, isNet ? { hostIPC: true } : { hostNetwork: true }))).toBe(undefined);
      }
    }
  });

  it.each([
    ['kernel.msgmax', 'kernel.msgmax'],
    ['kernel.core_pattern', 'kernel.core_pattern'],
    ['vm.swappiness', 'vm.swappiness'],
    ['net.ipv4.ip_forward', 'net.ipv4.ip_forward'],
    ['net/ipv4/tcp.syncookies', 'net.ipv4.tcp/syncookies'],
    ['net/../kernel/core_pattern', 'net.//.kernel.core_pattern'],
    ['net.ipv4.tcp_syncookies=1', 'net.ipv4.tcp_syncookies=1'],
    ['NET.ipv4.tcp_syncookies', 'NET.ipv4.tcp_syncookies'],
    ['', ''],
  ])('refuses %j', (name, shown) =>
    expect(messageOf(podOf(name))).toBe(`forbidden sysctl: "${shown}" not allowlisted`),
  );
});
