/** Limits of the runtime specification as files of cgroup v2 (runtime-spec, config-linux.md, "Control groups"). Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { OciDeviceRule, OciResources } from '#api/oci/runtime/config.ts';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import { defaultDeviceRules } from '#native/bpf/device-rules.ts';
import { planCgroupWrites } from '#native/cgroup/resources.ts';

/** One write; a file of several devices is written several times. */
export interface ResourceWrite {
  readonly file: string;
  readonly value: string;
  /** Whose file it is: `rdma` and `cpuset`, too. */
  readonly controller: string;
}

/** In an order that the kernel takes. @throws {E_INVALID} naming the member */
export function renderResources(resources: OciResources, at: string): readonly ResourceWrite[] {
  const { cpu = {}, memory = {}, pids, blockIO = {}, rdma = {}, unified = {} } = resources;
  const write = (file: string, value: string | number | undefined): readonly ResourceWrite[] =>
    value === undefined || value === ''
      ? []
      : [{ file, value: String(value), controller: file.split('.')[0] ?? '' }];
  const limit = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : value < 0 ? 'max' : String(value);
  return [
    ...planCgroupWrites({
      ...(cpu.shares === undefined || cpu.shares === 0 ? {} : { cpuShares: cpu.shares }),
      ...(cpu.quota === undefined || cpu.quota === 0 ? {} : { cpuQuotaUs: cpu.quota < 0 ? -1 : cpu.quota }),
      ...(cpu.period === undefined || cpu.period === 0 ? {} : { cpuPeriodUs: cpu.period }),
      ...(pids?.limit === undefined || pids.limit === 0 ? {} : { pidsMax: pids.limit < 0 ? -1 : pids.limit }),
    }),
    ...write('cpu.max.burst', cpu.burst),
    ...write('cpu.idle', cpu.idle),
    ...write('cpuset.cpus', cpu.cpus),
    ...write('cpuset.mems', cpu.mems),
    ...write('memory.low', limit(memory.reservation)),
    ...write('memory.swap.max', swapOf(memory, at)),
    ...write('memory.max', limit(memory.limit)),
    ...(resources.hugepageLimits ?? []).flatMap(({ pageSize, limit: bytes }) =>
      write(`hugetlb.${pageSize}.max`, limit(bytes)),
    ),
    ...ioWrites(blockIO),
    ...Object.entries(rdma).flatMap(([device, { hcaHandles, hcaObjects }]) =>
      write(
        'rdma.max',
        `${device}${hcaHandles === undefined ? '' : ` hca_handle=${hcaHandles}`}${hcaObjects === undefined ? '' : ` hca_object=${hcaObjects}`}`,
      ),
    ),
    ...Object.entries(unified).flatMap(([file, value]) => {
      if (!/^[a-z_]+(?:\.[A-Za-z0-9_]+)+$/.test(file) || file.startsWith('cgroup.'))
        throw new PodwrightError('E_INVALID', `${at}.unified.${file}: no limit of a cgroup`);
      return write(file, value);
    }),
  ];
}

/** In v1, and so in the specification, swap is memory and swap together; -1 is no limit. */
function swapOf({ limit, swap }: NonNullable<OciResources['memory']>, at: string): string | undefined {
  if (swap === undefined || swap === 0) return undefined;
  if (swap < 0) return 'max';
  if (limit === undefined || limit < 0)
    throw new PodwrightError(
      'E_INVALID',
      `${at}.memory.swap: it is memory and swap together, and needs a limit of memory`,
    );
  if (swap < limit)
    throw new PodwrightError('E_INVALID', `${at}.memory.swap: ${swap} is less than the limit of memory`);
  return String(swap - limit);
}

function ioWrites(io: NonNullable<OciResources['blockIO']>): readonly ResourceWrite[] {
  // 10 to 1000 in v1, 1 to 10000 in v2 (kernel, block/blk-iocost.c): a straight line, as runc has it.
  const weight = (value: number): number => (value === 0 ? 0 : 1 + Math.floor(((value - 10) * 9999) / 990));
  const max = (key: string, list: NonNullable<OciResources['blockIO']>['throttleReadBpsDevice'] = []) =>
    list.map(({ major, minor, rate }) => ({
      file: 'io.max',
      value: `${major}:${minor} ${key}=${rate}`,
      controller: 'io',
    }));
  return [
    ...(io.weight === undefined || io.weight === 0
      ? []
      : [{ file: 'io.weight', value: `default ${weight(io.weight)}`, controller: 'io' }]),
    ...(io.weightDevice ?? []).flatMap(({ major, minor, weight: value = 0 }) =>
      value === 0
        ? []
        : [{ file: 'io.weight', value: `${major}:${minor} ${weight(value)}`, controller: 'io' }],
    ),
    ...max('rbps', io.throttleReadBpsDevice),
    ...max('wbps', io.throttleWriteBpsDevice),
    ...max('riops', io.throttleReadIOPSDevice),
    ...max('wiops', io.throttleWriteIOPSDevice),
  ];
}

/** Whether it is what a cgroup has anyway: that needs no controller. */
export function isDefault({ file, value }: ResourceWrite): boolean {
  if (file === 'cpu.weight') return value === '100';
  return (
    value === 'max' ||
    (file === 'cpu.max' && value === 'max 100000') ||
    (file === 'cpu.idle' && value === '0')
  );
}

/** What the document allows and refuses, then what every container has, and its own. */
export function renderDeviceRules(
  rules: readonly OciDeviceRule[],
  own: readonly { readonly type: string; readonly major?: number; readonly minor?: number }[],
): readonly DeviceRule[] {
  const given = rules.map(({ allow, type = 'a', major, minor, access = 'rwm' }): DeviceRule => ({
    isAllowed: allow,
    type: type === 'c' || type === 'u' ? 'c' : type === 'b' ? 'b' : 'a',
    // Negative numbers are wildcards to those who write such documents.
    major: major === undefined || major < 0 ? undefined : major,
    minor: minor === undefined || minor < 0 ? undefined : minor,
    access: access === '' ? 'rwm' : access,
  }));
  const devices = own.flatMap(({ type, major, minor }): readonly DeviceRule[] =>
    type === 'p' ? [] : [{ isAllowed: true, type: type === 'b' ? 'b' : 'c', major, minor, access: 'rwm' }],
  );
  return [...given, ...defaultDeviceRules, ...devices];
}
