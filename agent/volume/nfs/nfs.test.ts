import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { firstOf, knownCidr, type Ip } from '#base/ip.ts';
import { PodwrightError } from '#base/errors.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { mountOnThread } from '#native/mount/mount-thread.ts';
import { mountNfs, type NfsPorts } from './mount-nfs.ts';
import { createNfsPorts } from './nfs-ports.linux.ts';
import { parseNfsOptions, planNfs, type NfsMount, type NfsWish } from './plan-nfs.ts';

const knownIp = (text: string): Ip => firstOf(knownCidr(`${text}/${text.includes(':') ? 128 : 32}`));
const wish = (change: Partial<NfsWish> = {}): NfsWish => ({
  ...{ server: 'nas', path: '/export', isReadOnly: false, options: [] },
  ...change,
});
const ends = { address: knownIp('192.0.2.9'), own: knownIp('192.0.2.1') };
const kernelSays = (errno: string): PodwrightError =>
  new PodwrightError('E_KERNEL', `mount nfs at /t: ${errno}`, { detail: { errno } });

describe('planNfs()', () => {
  const plan = (change: Partial<NfsWish>, ips = ends): readonly NfsMount[] =>
    planNfs(wish(change), parseNfsOptions(wish(change)), ips);

  it('says what mount.nfs says, from the newest version on', () => {
    expect(plan({})).toEqual(
      ['4.2', '4.1', '4.0'].map((version) => ({
        source: 'nas:/export',
        flags: [],
        data: `vers=${version},proto=tcp,addr=192.0.2.9,clientaddr=192.0.2.1`,
      })),
    );
  });

  it.each<[string, Partial<NfsWish>, string, readonly string[]]>([
    ['one version', { options: ['nfsvers=4.1'] }, 'vers=4.1,proto=tcp,', []],
    ['a minor version', { options: ['vers=4,minorversion=1'] }, 'vers=4.1,proto=tcp,', []],
    ['v4.0', { options: ['v4.0'] }, 'vers=4.0,proto=tcp,', []],
    ['read-only', { isReadOnly: true }, 'vers=4.2,', ['ro']],
    ['options of the kernel', { options: ['hard', 'timeo=600'] }, 'hard,timeo=600,vers=4.2,', []],
    ['flags', { options: ['noatime', 'nosuid'] }, 'vers=4.2,', ['noatime', 'nosuid']],
    ['words of fstab', { options: ['_netdev', 'rw', 'defaults', 'retry=5'] }, 'vers=4.2,', []],
    [
      'version 3 without locks',
      { options: ['nfsvers=3', 'nolock'] },
      'nolock,vers=3,proto=tcp,addr=192.0.2.9,mountaddr=192.0.2.9',
      [],
    ],
  ])('takes %s', (_name, change, data, flags) => {
    const [first] = plan(change);
    expect(first?.data.slice(0, data.length)).toBe(data);
    expect(first?.flags).toEqual(flags);
  });

  it('goes by IPv6 where the server is reached so', () => {
    const ips = { address: knownIp('2001:db8::9'), own: knownIp('2001:db8::1') };
    expect(plan({ server: '2001:db8::9' }, ips)[0]).toEqual({
      source: '[2001:db8::9]:/export',
      flags: [],
      data: 'vers=4.2,proto=tcp6,addr=2001:db8::9,clientaddr=2001:db8::1',
    });
  });

  it.each([
    ['nfsvers=3', 'without nolock'],
    ['nfsvers=2', 'nfsvers=2 is not supported'],
    ['sec=krb5p', 'no rpc.gssd'],
    ['proto=rdma', 'no RDMA'],
    ['bg', 'the agent tries again'],
    ['addr=192.0.2.7', 'the addresses are those of the server’s name'],
    ['Hard', 'it is none of nfs(5)'],
    ['x=y z', 'it is none of nfs(5)'],
  ])('refuses %s', (option, message) => {
    expect(() => parseNfsOptions(wish({ options: [option] }))).toThrow(message);
  });
});

describe('mountNfs()', () => {
  const signal = new AbortController().signal;
  const run = async (ports: Partial<NfsPorts>, change: Partial<NfsWish> = {}): Promise<readonly string[]> => {
    const calls: string[] = [];
    const { mount = async () => undefined } = ports;
    const all: NfsPorts = {
      lookup: async () => [ends.address],
      reach: async () => ends.own,
      ...ports,
      mount: async (target, call, each) => {
        calls.push(call.data);
        await mount(target, call, each);
      },
    };
    await mountNfs('/t', wish(change), { ports: all, signal });
    return calls.map((data) => /vers=[\d.]+/.exec(data)?.[0] ?? '');
  };

  it('takes the first version that both have', async () => {
    const mount = async (_target: string, { data }: NfsMount): Promise<void> => {
      if (!data.includes('vers=4.0')) throw kernelSays('EPROTONOSUPPORT');
    };
    expect(await run({ mount })).toEqual(['vers=4.2', 'vers=4.1', 'vers=4.0']);
  });

  it('asks the next address where one does not answer', async () => {
    const lookup = async () => [knownIp('192.0.2.8'), ends.address];
    let asked = 0;
    const reach = async () => {
      if (asked++ === 0) throw new PodwrightError('E_CONNECTION', '192.0.2.8 port 2049: no answer');
      return ends.own;
    };
    expect(await run({ lookup, reach })).toEqual(['vers=4.2']);
  });

  it.each([
    ['ENODEV', 'mount nas:/export: this node’s kernel has no NFS'],
    ['EACCES', 'mount nas:/export: access denied by server'],
    ['ENOENT', 'mount nas:/export: the server has no such path'],
    ['EPROTONOSUPPORT', 'requested NFS version or transport protocol is not supported'],
    ['ETIMEDOUT', 'mount nas:/export: mount nfs at /t: ETIMEDOUT'],
  ])('says what %s means', async (errno, message) => {
    const mount = async (): Promise<void> => {
      throw kernelSays(errno);
    };
    await expect(run({ mount })).rejects.toThrow(message);
  });

  it('says of a name that nobody knows', async () => {
    const lookup = async (): Promise<never> => {
      throw new Error('getaddrinfo ENOTFOUND nas');
    };
    await expect(run({ lookup })).rejects.toThrow('mount nas:/export: getaddrinfo ENOTFOUND nas');
  });
});

describe('the ports of NFS', () => {
  it('know whether a server answers, and from where', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise<void>((resolve) => void server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const [loopback] = await createNfsPorts().lookup('127.0.0.1');
    const { signal } = new AbortController();
    expect(loopback).toEqual(knownIp('127.0.0.1'));
    expect(await createNfsPorts().reach(knownIp('127.0.0.1'), port, signal)).toEqual(loopback);
    await new Promise((resolve) => void server.close(resolve));
    await expect(createNfsPorts().reach(knownIp('127.0.0.1'), port, signal)).rejects.toThrow('ECONNREFUSED');
  });

  it.skipIf(process.getuid?.() !== 0)('mount on a thread (needs root)', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'mount-thread-'));
    const how = { signal: new AbortController().signal, timeoutMs: 60_000 };
    const mounts = createMounts();
    try {
      await mountOnThread(
        { target: directory, spec: { kind: 'tmpfs', sizeBytes: 4096 }, options: ['ro'] },
        how,
      );
      expect(mounts.unmount(directory)).toBe(true);
      const spec = { kind: 'other', type: 'no-such-fs', source: 'x' } as const;
      await expect(mountOnThread({ target: directory, spec, options: [] }, how)).rejects.toMatchObject({
        detail: { errno: 'ENODEV' },
      });
    } finally {
      mounts.unmount(directory);
      rmSync(directory, { recursive: true });
    }
  });
});
