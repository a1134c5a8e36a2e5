/**
 * Which devices a container may open (OCI runtime specification, config-linux.md, "Allowed Device list"). The one place that decides is
 * mayOpen(); the kernel's program is compiled from the same rules in normal form (device-program.ts) and compared with it. Pure.
 */
import { PodwrightError } from '#base/errors.ts';

/** Mode of access, as bits of struct bpf_cgroup_dev_ctx (BPF_DEVCG_ACC_*, linux/bpf.h). */
export const DEVICE_ACCESS = { m: 1, r: 2, w: 4 } as const;
export const allAccess: number = DEVICE_ACCESS.m | DEVICE_ACCESS.r | DEVICE_ACCESS.w;

export interface DeviceRule {
  readonly isAllowed: boolean;
  /** `a`: of both kinds. */
  readonly type: 'a' | 'b' | 'c';
  /** Undefined: any. A minor number only with its major. */
  readonly major: number | undefined;
  readonly minor: number | undefined;
  /** Some of `rwm`. */
  readonly access: string;
}

export interface Device {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Some of `rwm`. Default all. */
  readonly access?: string;
}

/** A later rule decides over an earlier one, bit by bit of the access; what no rule says is refused. */
export function mayOpen(rules: readonly DeviceRule[], device: Device, access: number): boolean {
  let allowed = 0;
  for (const rule of rules) {
    if (!isAbout(rule, device)) continue;
    allowed = applied(allowed, rule);
  }
  return (access & ~allowed) === 0;
}

function isAbout(rule: DeviceRule, { type, major, minor }: Device): boolean {
  return (
    (rule.type === 'a' || rule.type === type) &&
    (rule.major === undefined || rule.major === major) &&
    (rule.minor === undefined || rule.minor === minor)
  );
}

function applied(allowed: number, rule: DeviceRule): number {
  const bits = accessBits(rule.access);
  return rule.isAllowed ? allowed | bits : allowed & ~bits;
}

function accessBits(access: string): number {
  let bits = 0;
  for (const letter of access) {
    if (letter !== 'r' && letter !== 'w' && letter !== 'm') {
      throw new PodwrightError(
        'E_INVALID',
        `read device access ${JSON.stringify(access)}: not of r, w and m`,
      );
    }
    bits |= DEVICE_ACCESS[letter];
  }
  return bits;
}

export function renderAccess(bits: number): string {
  return (['r', 'w', 'm'] as const).filter((letter) => (bits & DEVICE_ACCESS[letter]) !== 0).join('');
}

const allow = (
  type: 'b' | 'c',
  major: number | undefined,
  minor: number | undefined,
  access: string,
): DeviceRule => ({
  isAllowed: true,
  type,
  major,
  minor,
  access,
});

/**
 * What every container may: make any node, and open null, zero, full, random, urandom, tty, ptmx and the ends of
 * terminals, which are those of its own devpts (runc's and containerd's list).
 */
export const defaultDeviceRules: readonly DeviceRule[] = [
  allow('c', undefined, undefined, 'm'),
  allow('b', undefined, undefined, 'm'),
  allow('c', 1, 3, 'rwm'),
  allow('c', 1, 5, 'rwm'),
  allow('c', 1, 7, 'rwm'),
  allow('c', 1, 8, 'rwm'),
  allow('c', 1, 9, 'rwm'),
  allow('c', 5, 0, 'rwm'),
  allow('c', 5, 2, 'rwm'),
  allow('c', 136, undefined, 'rwm'),
];

/** What a privileged container may. */
export const allDeviceRules: readonly DeviceRule[] = [
  { isAllowed: true, type: 'a', major: undefined, minor: undefined, access: 'rwm' },
];

/** The rules of a container with devices of its own. */
export function deviceRulesOf(container: {
  readonly isPrivileged: boolean;
  readonly devices: readonly Device[];
}): readonly DeviceRule[] {
  if (container.isPrivileged) return allDeviceRules;
  const own = container.devices.map(({ type, major, minor, access = 'rwm' }) =>
    allow(type, major, minor, access),
  );
  return [...defaultDeviceRules, ...own];
}

/** Access bits of devices, the most special first: what is looked up first decides alone. */
export interface NormalRules {
  readonly entries: readonly {
    readonly type: 'b' | 'c';
    readonly major: number;
    readonly minor: number | undefined;
    readonly access: number;
  }[];
  /** Of all other devices of a type. */
  readonly otherwise: { readonly b: number; readonly c: number };
}

/**
 * The same decisions for rules in any order and number: what lists that mean the same have in common.
 * @throws E_INVALID for a minor number of any major, a number out of range, a letter that is no access
 */
export function normaliseDeviceRules(rules: readonly DeviceRule[]): NormalRules {
  const tables = { b: new TypeTable(), c: new TypeTable() };
  for (const rule of rules) {
    checkRule(rule);
    if (rule.type !== 'c') tables.b.apply(rule);
    if (rule.type !== 'b') tables.c.apply(rule);
  }
  const of = (type: 'b' | 'c'): NormalRules['entries'] =>
    tables[type].entries().map((entry) => ({ type, ...entry }));
  return { entries: [...of('b'), ...of('c')], otherwise: { b: tables.b.otherwise, c: tables.c.otherwise } };
}

/** 12 and 20 bits (linux/kdev_t.h). */
const majorMax = 0xfff;
const minorMax = 0xf_ffff;

function checkRule(rule: DeviceRule): void {
  const { type, major, minor } = rule;
  accessBits(rule.access);
  const isInRange = (value: number | undefined, max: number): boolean =>
    value === undefined || (Number.isInteger(value) && value >= 0 && value <= max);
  if (
    isInRange(major, majorMax) &&
    isInRange(minor, minorMax) &&
    (major !== undefined || minor === undefined)
  )
    return;
  throw new PodwrightError(
    'E_INVALID',
    `read device rule ${type} ${major ?? '*'}:${minor ?? '*'}: no such devices`,
  );
}

/** The devices of one type: each level begins with what the wider one says at that time, and follows it from then on. */
class TypeTable {
  otherwise = 0;
  readonly #majors = new Map<number, { access: number | undefined; readonly minors: Map<number, number> }>();

  apply(rule: DeviceRule): void {
    const { major, minor } = rule;
    if (major === undefined) {
      this.otherwise = applied(this.otherwise, rule);
      for (const entry of this.#majors.values()) applyTo(entry, rule);
      return;
    }
    const entry = this.#majors.get(major) ?? { access: undefined, minors: new Map<number, number>() };
    this.#majors.set(major, entry);
    if (minor === undefined) {
      entry.access ??= this.otherwise;
      applyTo(entry, rule);
    } else {
      entry.minors.set(minor, applied(entry.minors.get(minor) ?? entry.access ?? this.otherwise, rule));
    }
  }

  /** Without what says no more than the wider level. */
  entries(): readonly {
    readonly major: number;
    readonly minor: number | undefined;
    readonly access: number;
  }[] {
    return [...this.#majors]
      .toSorted(([a], [b]) => a - b)
      .flatMap(([major, { access, minors }]) => {
        const wider = access ?? this.otherwise;
        const special = [...minors].filter(([, bits]) => bits !== wider).toSorted(([a], [b]) => a - b);
        const ofMajor = wider === this.otherwise ? [] : [{ major, minor: undefined, access: wider }];
        return [...special.map(([minor, bits]) => ({ major, minor, access: bits })), ...ofMajor];
      });
  }
}

function applyTo(
  entry: { access: number | undefined; readonly minors: Map<number, number> },
  rule: DeviceRule,
): void {
  if (entry.access !== undefined) entry.access = applied(entry.access, rule);
  for (const [minor, bits] of entry.minors) entry.minors.set(minor, applied(bits, rule));
}

/** `c 1:3 rwm, …, otherwise b m, c m`: also what programs that may be shared are known by. */
export function renderDeviceRules({ entries, otherwise }: NormalRules): string {
  const words = entries.map(
    ({ type, major, minor, access }) => `${type} ${major}:${minor ?? '*'} ${renderAccess(access) || '-'}`,
  );
  const rest = `otherwise b ${renderAccess(otherwise.b) || '-'}, c ${renderAccess(otherwise.c) || '-'}`;
  return [...words, rest].join(', ');
}
