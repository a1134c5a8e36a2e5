import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { deviceFilterConformance } from './device-filter.conformance.ts';
import type { DeviceFilterHarness } from './device-filter.conformance.ts';
import { FakeDeviceFilter } from './device-filter.fake.ts';
import { createDeviceFilter } from './device-filter.linux.ts';
import { allAccess, DEVICE_ACCESS, defaultDeviceRules } from './device-rules.ts';
import { loadProgram } from './load.linux.ts';

const run = promisify(execFile);
const { m, r } = DEVICE_ACCESS;

const cgroupRoot = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(`${path}/cgroup.controllers`),
);

deviceFilterConformance('the fake device filter', async () => {
  const filter = new FakeDeviceFilter();
  const cgroup = (name: string): string => {
    filter.cgroups.add(`/cgroup/${name}`);
    return `/cgroup/${name}`;
  };
  const tries: DeviceFilterHarness['tries'] = async (path, device) => {
    const makes = filter.mayOpen(path, device, m);
    return { makes, opens: makes && filter.mayOpen(path, device, r) };
  };
  return { filter, cgroup, tries, [Symbol.asyncDispose]: async () => undefined };
});

describe.skipIf(process.getuid?.() !== 0 || cgroupRoot === undefined)('needs root and cgroup v2', () => {
  deviceFilterConformance('the device filter on the kernel', createKernelHarness);

  it('is never without a program while it is replaced, and opens null all the time', async () => {
    await using harness = await createKernelHarness();

    const cgroup = harness.cgroup('a');
    harness.filter.apply(cgroup, defaultDeviceRules);
    const loop =
      'i=0; while [ $i -lt 3000 ]; do true < /dev/null || exit 3; true < "$1" && exit 4; i=$((i+1)); done 2> /dev/null';
    const directory = mkdtempSync('/tmp/podwright-devices-');
    await run('mknod', [join(directory, 'node'), 'c', '1', '11']);
    const child = run('sh', [
      '-c',
      `echo $$ > ${cgroup}/cgroup.procs; ${loop}; exit 0`,
      'sh',
      join(directory, 'node'),
    ]);
    const state = { isOver: false };
    void child.finally(() => (state.isOver = true)).catch(() => undefined);
    for (let round = 0; !state.isOver; round++) {
      const access = round % 2 === 0 ? 'rwm' : 'rw';
      const own = { isAllowed: true, type: 'c', major: 10, minor: round % 7, access } as const;
      harness.filter.apply(cgroup, [...defaultDeviceRules, own]);
      expect(harness.filter.count(cgroup)).toBe(1);
      await new Promise((resolve) => void setTimeout(resolve, 1));
    }
    rmSync(directory, { recursive: true });
    await expect(child).resolves.toBeDefined();
  });

  it('says what the verifier says', () => {
    const reading = [{ op: 'and', to: 3, value: 1 }, { op: 'exit' }] as const;
    expect(() => loadProgram(15, reading)).toThrow(/load program of 2 instructions: E\w+ .*!read_ok/s);
  });

  it('says E_UNSUPPORTED of a directory that is no cgroup', () => {
    using filter = createDeviceFilter();

    expect(() => filter.apply('/tmp', defaultDeviceRules)).toThrow(/filter devices: .*: EBADF/);
    expect(allAccess).toBe(7);
  });
});

async function createKernelHarness(): Promise<DeviceFilterHarness> {
  const root = join(cgroupRoot ?? '', `podwright-devices-${process.pid}-${count++}`);
  mkdirSync(root);
  const made = [root];
  const directory = mkdtempSync('/tmp/podwright-devices-');
  return {
    filter: createDeviceFilter(),
    cgroup: (name) => {
      made.push(join(root, name));
      mkdirSync(join(root, name));
      return join(root, name);
    },
    tries: async (cgroup, { type, major, minor }) => {
      const node = join(directory, `node${count++}`);
      const script = `echo $$ > ${cgroup}/cgroup.procs; mknod ${node} ${type} ${major} ${minor} && echo makes && exec 3< ${node} && echo opens; exit 0`;
      const { stdout } = await run('bash', ['-c', script]);
      return { makes: stdout.includes('makes'), opens: stdout.includes('opens') };
    },
    [Symbol.asyncDispose]: async () => {
      for (const path of made.toReversed()) rmdirSync(path);
      rmSync(directory, { recursive: true });
    },
  };
}
let count = 0;
