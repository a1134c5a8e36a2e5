/** What every device filter does; run on the fake and on the kernel. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceFilter } from './device-filter.ts';
import { allDeviceRules, defaultDeviceRules, deviceRulesOf } from './device-rules.ts';
import type { Device } from './device-rules.ts';

export interface DeviceFilterHarness extends AsyncDisposable {
  readonly filter: DeviceFilter;
  /** Makes a cgroup and gives its path. */
  readonly cgroup: (name: string) => string;
  /** Whether a process in the cgroup makes a node of the device, and opens it. */
  readonly tries: (
    cgroup: string,
    device: Device,
  ) => Promise<{ readonly makes: boolean; readonly opens: boolean }>;
}

const zero: Device = { type: 'c', major: 1, minor: 5 };
const memory: Device = { type: 'c', major: 1, minor: 11 }; // kmsg, which every kernel has and opens for root

export function deviceFilterConformance(
  name: string,
  createHarness: () => Promise<DeviceFilterHarness>,
): void {
  describe(name, () => {
    let harness: DeviceFilterHarness;
    beforeEach(async () => void (harness = await createHarness()));
    afterEach(async () => harness[Symbol.asyncDispose]());

    it('apply() lets the devices of every container be opened, and others be made only', async () => {
      const cgroup = harness.cgroup('a');
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: true });
      harness.filter.apply(cgroup, defaultDeviceRules);
      expect(await harness.tries(cgroup, zero)).toEqual({ makes: true, opens: true });
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: false });
    });

    it('apply() replaces: the last rules hold, of one program', async () => {
      const cgroup = harness.cgroup('a');
      const withMemory = deviceRulesOf({ isPrivileged: false, devices: [memory] });
      for (let round = 0; round < 100; round++) {
        harness.filter.apply(cgroup, round % 2 === 0 ? defaultDeviceRules : withMemory);
        expect(harness.filter.count(cgroup)).toBe(1);
      }
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: true });
      harness.filter.apply(cgroup, defaultDeviceRules);
      harness.filter.apply(cgroup, defaultDeviceRules);
      expect(harness.filter.count(cgroup)).toBe(1);
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: false });
      harness.filter.apply(cgroup, allDeviceRules);
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: true });
    });

    it('holds for cgroups below, which only take away', async () => {
      const cgroup = harness.cgroup('a');
      const below = harness.cgroup('a/b');
      harness.filter.apply(cgroup, defaultDeviceRules);
      harness.filter.apply(below, allDeviceRules);
      expect(await harness.tries(below, memory)).toEqual({ makes: true, opens: false });
      harness.filter.apply(cgroup, allDeviceRules);
      harness.filter.apply(below, []);
      expect(await harness.tries(below, zero)).toEqual({ makes: false, opens: false });
    });

    it('stays when the filter is disposed, and another replaces what it left', async () => {
      const cgroup = harness.cgroup('a');
      harness.filter.apply(cgroup, defaultDeviceRules);
      harness.filter[Symbol.dispose]();
      expect(harness.filter.count(cgroup)).toBe(1);
      expect(await harness.tries(cgroup, memory)).toEqual({ makes: true, opens: false });
      harness.filter.apply(cgroup, allDeviceRules);
      expect(harness.filter.count(cgroup)).toBe(1);
    });

    it('is E_NOT_FOUND where there is no such cgroup, E_INVALID for rules that mean nothing', () => {
      const cgroup = harness.cgroup('a');
      expect(() => harness.filter.apply(`${cgroup}/none`, defaultDeviceRules)).toThrow(/ENOENT/);
      const rule = { isAllowed: true, type: 'c', major: 5000, minor: 1, access: 'r' } as const;
      expect(() => harness.filter.apply(cgroup, [rule])).toThrow('no such devices');
    });
  });
}
