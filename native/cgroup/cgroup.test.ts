import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseMountinfo } from '#native/mount/mountinfo.ts';
import { proveCgroups } from './cgroup.conformance.ts';
import { createFakeCgroups } from './cgroup.fake.ts';
import { createCgroups } from './cgroup.linux.ts';
import { findCgroup2Mount, parseFlatKeyed, parseMemoryEvents, parseOwnCgroup, parseStats } from './parse.ts';
import { milliCpuToQuotaUs, milliCpuToShares, planCgroupWrites, sharesToWeight } from './resources.ts';

proveCgroups('createFakeCgroups()', async () => {
  let pid = 100;
  return {
    cgroups: createFakeCgroups({ controllers: ['hugetlb'] }),
    startProcess: async () => ++pid,
    [Symbol.asyncDispose]: async () => {},
  };
});

const mount = findCgroup2Mount(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')));
const canRun = process.getuid?.() === 0 && mount !== undefined;

describe.skipIf(!canRun)('on the kernel (needs root and a cgroup2 mount)', () => {
  proveCgroups('createCgroups()', async () => {
    const root = await mkdtemp(join(mount ?? '', 'podwright-test-'));
    const children: ReturnType<typeof spawn>[] = [];
    const cgroups = createCgroups(root);
    return {
      cgroups,
      startProcess: async () => {
        const child = spawn('sleep', ['60']);
        children.push(child);
        await once(child, 'spawn');
        return child.pid ?? 0;
      },
      [Symbol.asyncDispose]: async () => {
        for (const child of children) child.kill('SIGKILL');
        await cgroups.remove('', 5_000);
      },
    };
  });

  it('addProcess() of a pid that is not there names the file and the errno', async () => {
    const root = await mkdtemp(join(mount ?? '', 'podwright-test-'));
    const cgroups = createCgroups(root);
    await cgroups.ensure('a', []);
    const attempt = cgroups.addProcess('a', 0x7fff_fff0);
    await expect(attempt).rejects.toThrow(/write 2147483632 to .*\/a\/cgroup\.procs: ESRCH/);
    await cgroups.remove('', 1_000);
  });
});

describe('planCgroupWrites()', () => {
  it.each([
    { name: 'nothing', given: {}, want: [] },
    { name: 'shares', given: { cpuShares: 1024 }, want: ['cpu.weight=100'] },
    { name: 'a quota', given: { cpuQuotaUs: 20_000 }, want: ['cpu.max=20000 100000'] },
    {
      name: 'no quota',
      given: { cpuQuotaUs: -1, cpuPeriodUs: 50_000 },
      want: ['cpu.max=max 50000'],
    },
    {
      name: 'memory, protection first',
      given: {
        memoryLimitBytes: 4096,
        memoryMinBytes: 1024,
        memoryHighBytes: 2048,
        swapLimitBytes: 0,
        oomGroup: true,
      },
      want: [
        'memory.min=1024',
        'memory.high=2048',
        'memory.max=4096',
        'memory.swap.max=0',
        'memory.oom.group=1',
      ],
    },
    { name: 'no memory limit', given: { memoryLimitBytes: -1 }, want: ['memory.max=max'] },
    { name: 'pids', given: { pidsMax: 100 }, want: ['pids.max=100'] },
    {
      name: 'huge pages',
      given: { hugepageLimits: [{ pageSize: '1GB', limitBytes: 0 }] },
      want: ['hugetlb.1GB.max=0'],
    },
  ])('$name', ({ given, want }) => {
    expect(planCgroupWrites(given).map(({ file, value }) => `${file}=${value}`)).toEqual(want);
  });

  it.each([
    { pidsMax: -2 },
    { memoryLimitBytes: 1.5 },
    { hugepageLimits: [{ pageSize: '../x', limitBytes: 1 }] },
  ])('refuses %j', (given) =>
    expect(() => planCgroupWrites(given)).toThrow(expect.objectContaining({ code: 'E_INVALID' })),
  );
});

describe('CPU conversions', () => {
  it.each([
    [0, 2],
    [1, 2],
    [100, 102],
    [1000, 1024],
    [1_000_000, 262_144],
  ])('milliCpuToShares(%i) is %i', (milli, want) => expect(milliCpuToShares(milli)).toBe(want));

  it.each([
    [0, -1],
    [5, 1_000],
    [500, 50_000],
    [2500, 250_000],
  ])('milliCpuToQuotaUs(%i) is %i', (milli, want) => expect(milliCpuToQuotaUs(milli)).toBe(want));

  it.each([
    [0, 1],
    [2, 1],
    [102, 17],
    [1024, 100],
    [262_144, 10_000],
  ])('sharesToWeight(%i) is %i', (shares, want) => expect(sharesToWeight(shares)).toBe(want));
});

describe('parsing', () => {
  it('findCgroup2Mount() prefers the whole hierarchy, and finds none on a v1 host', () => {
    const v1 =
      '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n';
    expect(findCgroup2Mount(parseMountinfo(v1))).toBeUndefined();
    const hybrid = `${v1}41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`;
    expect(findCgroup2Mount(parseMountinfo(hybrid))).toBe('/sys/fs/cgroup/unified');
    const nested = `${hybrid}50 1 0:38 /part /mnt rw - cgroup2 cgroup2 rw\n`;
    expect(findCgroup2Mount(parseMountinfo(nested))).toBe('/sys/fs/cgroup/unified');
  });

  it('parseOwnCgroup() takes the v2 line', () => {
    expect(parseOwnCgroup('4:memory:/x\n0::/user.slice\n')).toBe('/user.slice');
    expect(parseOwnCgroup('4:memory:/x\n')).toBeUndefined();
  });

  it('parseFlatKeyed() and parseMemoryEvents()', () => {
    expect([...parseFlatKeyed('a 1\nsome avg10=0.00\nb 22\n')]).toEqual([
      ['a', 1],
      ['b', 22],
    ]);
    const events = 'low 0\nhigh 3\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n';
    expect(parseMemoryEvents(events)).toEqual({ oom: 2, oomKill: 1, max: 4, high: 3 });
  });

  it('parseStats() takes the page cache that can go from the working set', () => {
    const stats = parseStats({
      events: 'populated 1\nfrozen 0\n',
      cpuStat: 'usage_usec 5\nuser_usec 4\nsystem_usec 1\nnr_periods 3\nnr_throttled 2\nthrottled_usec 7\n',
      memoryCurrent: '1000\n',
      memoryStat: 'anon 300\nfile 500\nfile_mapped 20\ninactive_file 400\npgfault 9\npgmajfault 1\n',
      memoryEvents: undefined,
      memorySwap: '8\n',
      pidsCurrent: '3\n',
      ioStat: '8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n259:1 \n',
      cpuPressure:
        'some avg10=1.50 avg60=0.20 avg300=0.03 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
      ioPressure: 'some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n',
    });
    expect(stats).toEqual({
      cpu: { usageUs: 5, userUs: 4, systemUs: 1, throttledUs: 7, throttledCount: 2, periodCount: 3 },
      memory: {
        ...{ currentBytes: 1000, workingSetBytes: 600, anonBytes: 300, fileBytes: 500, mappedBytes: 20 },
        ...{ swapBytes: 8, pageFaults: 9, majorPageFaults: 1 },
      },
      memoryEvents: undefined,
      pidsCurrent: 3,
      io: [
        { device: '8:0', readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 },
        { device: '259:1', readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 },
      ],
      pressure: {
        cpu: {
          some: { totalUs: 12, avg10: 1.5, avg60: 0.2, avg300: 0.03 },
          full: { totalUs: 0, avg10: 0, avg60: 0, avg300: 0 },
        },
        io: { some: { totalUs: 7, avg10: 0, avg60: 0, avg300: 0 }, full: undefined },
      },
      isPopulated: true,
    });
  });
});
