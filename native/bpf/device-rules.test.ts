import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { compileDeviceProgram, deviceContext } from './device-program.ts';
import {
  allAccess,
  allDeviceRules,
  DEVICE_ACCESS,
  defaultDeviceRules,
  deviceRulesOf,
  mayOpen,
  normaliseDeviceRules,
  renderDeviceRules,
} from './device-rules.ts';
import type { Device, DeviceRule } from './device-rules.ts';
import { interpret } from './interpret.ts';
import { encodeInstructions, renderInstructions } from './instruction.ts';

const c = (major: number, minor: number): Device => ({ type: 'c', major, minor });
const { m, r, w } = DEVICE_ACCESS;

describe('mayOpen()', () => {
  it.each([
    { name: 'null', device: c(1, 3), access: r | w, want: true },
    { name: 'a terminal', device: c(136, 77), access: r | w, want: true },
    { name: 'mknod of anything', device: c(10, 237), access: m, want: true },
    { name: 'memory', device: c(1, 1), access: r, want: false },
    { name: 'tun', device: c(10, 200), access: r | w, want: false },
    { name: 'fuse', device: c(10, 229), access: r, want: false },
    { name: 'loop control', device: c(10, 237), access: r, want: false },
    { name: 'a disk', device: { type: 'b', major: 8, minor: 0 } as const, access: r, want: false },
    {
      name: 'null, were it a disk',
      device: { type: 'b', major: 1, minor: 3 } as const,
      access: r,
      want: false,
    },
  ])('of every container: $name is $want', ({ device, access, want }) => {
    expect(mayOpen(defaultDeviceRules, device, access)).toBe(want);
  });

  it('adds the devices of a container, and has all for a privileged one', () => {
    const fuse = c(10, 229);
    expect(mayOpen(deviceRulesOf({ isPrivileged: false, devices: [fuse] }), fuse, r | w)).toBe(true);
    expect(mayOpen(deviceRulesOf({ isPrivileged: false, devices: [fuse] }), c(10, 200), r)).toBe(false);
    expect(
      mayOpen(
        deviceRulesOf({ isPrivileged: true, devices: [] }),
        { type: 'b', major: 8, minor: 0 },
        allAccess,
      ),
    ).toBe(true);
  });

  it('lets the later rule decide, bit by bit', () => {
    const rules: readonly DeviceRule[] = [
      ...allDeviceRules,
      { isAllowed: false, type: 'c', major: 10, minor: undefined, access: 'w' },
      { isAllowed: true, type: 'c', major: 10, minor: 229, access: 'w' },
    ];
    expect([
      mayOpen(rules, c(10, 1), r),
      mayOpen(rules, c(10, 1), r | w),
      mayOpen(rules, c(10, 229), w),
    ]).toEqual([true, false, true]);
    expect(mayOpen([], c(1, 3), r)).toBe(false);
  });
});

describe('normaliseDeviceRules()', () => {
  it('gives lists that mean the same one form', () => {
    const [first, ...rest] = defaultDeviceRules;
    if (first === undefined) throw new Error('no rules');
    const same = [
      [...defaultDeviceRules].toReversed(),
      [...defaultDeviceRules, ...defaultDeviceRules],
      [
        ...allDeviceRules,
        { isAllowed: false, type: 'a', major: undefined, minor: undefined, access: 'rwm' } as const,
        first,
        ...rest,
      ],
    ].map((rules) => renderDeviceRules(normaliseDeviceRules(rules)));
    expect(new Set(same)).toEqual(new Set([renderDeviceRules(normaliseDeviceRules(defaultDeviceRules))]));
  });

  it.each([
    { name: 'a minor of any major', rule: { major: undefined, minor: 3 } },
    { name: 'a major that no device has', rule: { major: 4096, minor: 0 } },
    { name: 'a minor that no device has', rule: { major: 1, minor: 1_048_576 } },
    { name: 'a fraction', rule: { major: 1.5, minor: 0 } },
    { name: 'a letter', rule: { major: 1, minor: 0, access: 'rx' } },
  ])('refuses $name', ({ rule }) => {
    const whole = { isAllowed: true, type: 'c', access: 'r', ...rule } as const;
    expect(() => normaliseDeviceRules([whole])).toThrow(/E_INVALID|no such devices|not of r, w and m/);
  });
});

describe('compileDeviceProgram()', () => {
  it.each([
    { name: 'default', rules: defaultDeviceRules },
    { name: 'privileged', rules: allDeviceRules },
    { name: 'nothing', rules: [] },
    {
      name: 'devices',
      rules: deviceRulesOf({ isPrivileged: false, devices: [c(10, 229), { type: 'b', major: 7, minor: 0 }] }),
    },
  ])('is as written down: $name', async ({ name, rules }) => {
    const normal = normaliseDeviceRules(rules);
    const text = `${renderDeviceRules(normal)}\n${renderInstructions(compileDeviceProgram(normal))}`;
    await expect(text).toMatchFileSnapshot(`golden/${name}.txt`);
  });

  it('decides as mayOpen() does, for random rules over every class of device and access', () => {
    const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
    const random = createRandom(seed);
    const pick = <T>(values: readonly [T, ...T[]]): T =>
      values[Math.floor(random() * values.length)] ?? values[0];
    const numbers = [0, 1, 3, 136, 4095] as const;
    const questions = (['b', 'c'] as const).flatMap((type) =>
      [...numbers, 77].flatMap((major) =>
        [...numbers, 77].flatMap((minor) =>
          Array.from({ length: allAccess + 1 }, (_, access) => ({ device: { type, major, minor }, access })),
        ),
      ),
    );
    for (let round = 0; round < 300; round++) {
      const rules = Array.from({ length: Math.floor(random() * 8) }, (): DeviceRule => {
        const wideness = random();
        return {
          isAllowed: random() < 0.6,
          type: pick(['a', 'b', 'c']),
          major: wideness < 0.2 ? undefined : pick(numbers),
          minor: wideness < 0.5 ? undefined : pick(numbers),
          access: pick(['r', 'w', 'm', 'rw', 'rwm', '']),
        };
      });
      const program = compileDeviceProgram(normaliseDeviceRules(rules));
      const wrong = questions.filter(({ device, access }) => {
        const got = interpret(program, deviceContext(device, access)) === 1;
        return got !== mayOpen(rules, device, access);
      });
      expect(wrong, `seed ${seed}, rules ${JSON.stringify(rules)}`).toEqual([]);
    }
  });

  it('encodes as the kernel has instructions', () => {
    const text = encodeInstructions([
      { op: 'load', to: 2, from: 1, offset: 4 },
      { op: 'jumpUnlessEqual', register: 4, value: 136, by: 2 },
      { op: 'set', to: 0, value: 1 },
      { op: 'exit' },
    ]).toString('hex');
    const words = ['6112040000000000', '5504020088000000', 'b400000001000000', '9500000000000000'];
    expect(text).toBe(words.join(''));
  });
});
