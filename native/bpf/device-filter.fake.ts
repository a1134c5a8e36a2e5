import { PodwrightError } from '#base/errors.ts';
import type { DeviceFilter } from './device-filter.ts';
import { mayOpen, normaliseDeviceRules } from './device-rules.ts';
import type { Device, DeviceRule } from './device-rules.ts';

/** Cgroups are names that a test makes; rules hold for what is below, as the kernel's do. */
export class FakeDeviceFilter implements DeviceFilter {
  readonly cgroups: Set<string> = new Set();
  readonly rules: Map<string, readonly DeviceRule[]> = new Map();
  /** Set: this kernel cannot. */
  refusal: string | undefined;

  apply(cgroup: string, rules: readonly DeviceRule[]): void {
    this.#find(cgroup);
    normaliseDeviceRules(rules);
    this.rules.set(cgroup, rules);
  }

  count(cgroup: string): number {
    this.#find(cgroup);
    return this.rules.has(cgroup) ? 1 : 0;
  }

  /** Whether a process in the cgroup may open the device. */
  mayOpen(cgroup: string, device: Device, access: number): boolean {
    return [...this.rules].every(([path, rules]) => {
      const isAbove = cgroup === path || cgroup.startsWith(`${path}/`);
      return !isAbove || mayOpen(rules, device, access);
    });
  }

  [Symbol.dispose](): void {
    // Programs stay with their cgroups.
  }

  #find(cgroup: string): void {
    if (this.refusal !== undefined)
      throw new PodwrightError('E_UNSUPPORTED', `filter devices: ${this.refusal}`);
    if (!this.cgroups.has(cgroup)) throw new PodwrightError('E_NOT_FOUND', `open ${cgroup}: ENOENT`);
  }
}
