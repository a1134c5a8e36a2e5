import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { openFd } from '#native/sys/fd.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import type { DeviceFilter } from './device-filter.ts';
import { compileDeviceProgram } from './device-program.ts';
import { normaliseDeviceRules, renderDeviceRules } from './device-rules.ts';
import { attachOnly, BPF_CGROUP_DEVICE, cgroupPlace, programsOf } from './attach.linux.ts';
import { BPF_PROG_TYPE_CGROUP_DEVICE, loadProgram } from './load.linux.ts';

/** Programs that are kept at hand: most containers of a node have one of a few lists of devices. */
const programsMax = 64;

/** The filter of this kernel. A list of rules is loaded once; a container then costs an open, a question and an attachment. */
export function createDeviceFilter(): DeviceFilter {
  const programs = new Map<string, OwnedFd>();
  let refusal: PodwrightError | undefined;
  const dispose = (): void => {
    for (const program of programs.values()) program[Symbol.dispose]();
    programs.clear();
  };
  const programOf: (...args: Parameters<DeviceFilter['apply']>) => OwnedFd = (_, rules) => {
    const normal = normaliseDeviceRules(rules);
    const key = renderDeviceRules(normal);
    const known = programs.get(key);
    if (known !== undefined) return known;
    if (refusal !== undefined) throw refusal;
    try {
      const program = loadProgram(BPF_PROG_TYPE_CGROUP_DEVICE, compileDeviceProgram(normal));
      if (programs.size >= programsMax) dispose(); // Where they are attached they stay.
      programs.set(key, program);
      return program;
    } catch (error) {
      // A kernel that has no memory now may have some later; one that cannot or must not never will.
      const translated = unsupported(error);
      if (isPodwrightError(translated, 'E_UNSUPPORTED')) refusal = translated;
      throw translated;
    }
  };
  return {
    apply: (cgroup, rules) => {
      const program = programOf(cgroup, rules);
      using directory = openFd(cgroup, O_RDONLY);

      try {
        attachOnly(cgroupPlace(directory, BPF_CGROUP_DEVICE), program);
      } catch (error) {
        throw unsupported(error);
      }
    },
    count: (cgroup) => {
      using directory = openFd(cgroup, O_RDONLY);

      try {
        return programsOf(cgroupPlace(directory, BPF_CGROUP_DEVICE)).length;
      } catch (error) {
        throw unsupported(error);
      }
    },
    [Symbol.dispose]: dispose,
  };
}

/** EPERM: no CAP_BPF here, or a parent cgroup that allows no other program; EINVAL: not built in, or a directory of another file system. */
const refusals: ReadonlySet<unknown> = new Set([
  'EPERM',
  'EACCES',
  'EINVAL',
  'ENOSYS',
  'EOPNOTSUPP',
  'EBADF',
]);

function unsupported(error: unknown): unknown {
  if (!isPodwrightError(error) || !refusals.has(error.detail['errno'])) return error;
  return new PodwrightError('E_UNSUPPORTED', `filter devices: ${error.message}`, {
    cause: error,
    detail: error.detail,
  });
}
