/** Every safe parameter, in namespaces made here: written inside, untouched outside. */
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createKernelPod } from '#native/launch/kernel.fixture.ts';
import { safeSysctls } from './admit/sysctls.ts';

/** One that a fresh namespace does not begin with. */
const values: Readonly<Record<string, string>> = {
  'kernel.shm_rmid_forced': '1',
  'net.ipv4.ip_local_port_range': '20000\t20100',
  'net.ipv4.tcp_syncookies': '2',
  'net.ipv4.ping_group_range': '7\t8',
  'net.ipv4.ip_unprivileged_port_start': '77',
  'net.ipv4.ip_local_reserved_ports': '30001,30005-30006',
  'net.ipv4.tcp_keepalive_time': '71',
  'net.ipv4.tcp_fin_timeout': '31',
  'net.ipv4.tcp_keepalive_intvl': '17',
  'net.ipv4.tcp_keepalive_probes': '5',
  'net.ipv4.tcp_rmem': '4097\t87381\t200001',
  'net.ipv4.tcp_wmem': '4098\t16385\t200002',
};

const pathOf = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;
const read = (name: string): string => readFileSync(pathOf(name), 'utf8').trimEnd();

describe.skipIf(process.getuid?.() !== 0)('safe sysctls on the kernel (needs root)', () => {
  it('are the pod’s own, each of them', async () => {
    const holder = spawn('unshare', ['-n', 'sleep', '1000'], { stdio: 'ignore' });
    using _ = { [Symbol.dispose]: () => void holder.kill('SIGKILL') };
    const netns = `/proc/${holder.pid}/ns/net`;
    await expect.poll(() => readlinkSync(netns)).not.toBe(readlinkSync('/proc/self/ns/net'));
    expect(Object.keys(values).toSorted()).toEqual([...safeSysctls].toSorted());
    const before = Object.fromEntries(Object.keys(values).map((name) => [name, read(name)]));
    await using pod = await createKernelPod({ netns, sysctls: values });

    const script = `cat ${Object.keys(values).map(pathOf).join(' ')}`;
    expect((await pod.run(pod.container(script))).stdout).toEqual(Object.values(values));
    expect(Object.fromEntries(Object.keys(values).map((name) => [name, read(name)]))).toEqual(before);
    for (const [name, value] of Object.entries(values))
      expect([name, before[name]]).not.toEqual([name, value]);
  });
});
