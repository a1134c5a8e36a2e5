import { expect, test } from 'vitest';
import { isSysctlName, normalizeSysctl, sysctlNamespace } from './sysctls.ts';

test.each([
  ['net.ipv4.tcp_syncookies', true],
  ['net/ipv4/tcp_syncookies', true],
  ['net/ipv4/conf/eth0.100/forwarding', true],
  ['kernel.shm_rmid_forced', true],
  ['a-b.c_d', true],
  ['a'.repeat(253), true],
  ['a'.repeat(254), false],
  ['foo-', false],
  ['-foo', false],
  ['_a', false],
  ['kernel.sem=..', false],
  ['net/../kernel/sem', false],
  ['net..ipv4', false],
  ['.net.ipv4', false],
  ['net.ipv4.', false],
  ['net.ipv4.TCP_syncookies', false],
  ['net.ipv4\n', false],
  ['net.*', false],
  ['', false],
])('isSysctlName(%j) is %s', (name, want) => expect(isSysctlName(name)).toBe(want));

test('isSysctlName() is linear in a name made to backtrack', () => {
  const name = `${'a-'.repeat(100_000)}!`;
  expect(isSysctlName(name)).toBe(false);
  expect(isSysctlName(`${'a-'.repeat(126)}!`)).toBe(false);
});

test.each([
  ['net.ipv4.ip_forward', 'net.ipv4.ip_forward'],
  ['net/ipv4/ip_forward', 'net.ipv4.ip_forward'],
  ['net.ipv4.conf.eth0/100.forwarding', 'net.ipv4.conf.eth0/100.forwarding'],
  ['net/ipv4/conf/eth0.100/forwarding', 'net.ipv4.conf.eth0/100.forwarding'],
  ['alone', 'alone'],
  ['', ''],
])('normalizeSysctl(%j)', (name, want) => expect(normalizeSysctl(name)).toBe(want));

test.each([
  ['net.ipv4.ip_forward', 'net'],
  ['network.x', undefined],
  ['kernel.sem', 'ipc'],
  ['kernel.semx', undefined],
  ['kernel.shmmax', 'ipc'],
  ['kernel.msgmni', 'ipc'],
  ['fs.mqueue.msg_max', 'ipc'],
  ['kernel.shm_next_id', undefined],
  ['kernel.hostname', undefined],
  ['vm.swappiness', undefined],
  ['kernel.core_pattern', undefined],
])('sysctlNamespace(%j)', (name, want) => expect(sysctlNamespace(name)).toBe(want));
