import { expect, it } from 'vitest';
import type { Device } from '#api/generated/objects.ts';
import { compileDeviceCondition, meetsCondition } from './device-expression.ts';

const gpu: Device = {
  name: 'gpu-0',
  attributes: {
    model: { string: 'a100' },
    numa: { int: 1 },
    ecc: { bool: true },
    'other.example/firmware': { version: '2.1.0' },
    'gpu.example/slot': { int: 3 },
  },
  capacity: { memory: { value: '40Gi' }, 'other.example/lanes': { value: '16' } },
};

it.each<readonly [expression: string, want: boolean | string]>([
  ["device.driver == 'gpu.example'", true],
  ["device.driver == 'nic.example'", false],
  ["device.attributes['gpu.example'].model == 'a100'", true],
  ["device.attributes['gpu.example'].slot == 3 && device.attributes['gpu.example'].ecc", true],
  ["device.attributes['gpu.example'].numa >= 2", false],
  ["device.attributes['other.example'].firmware.isGreaterThan(semver('2.0.9'))", true],
  ["device.capacity['gpu.example'].memory.compareTo(quantity('40Gi')) == 0", true],
  ["device.capacity['gpu.example'].memory.isGreaterThan(quantity('40Gi'))", false],
  ["device.capacity['other.example'].lanes.compareTo(quantity('8')) > 0", true],
  ["'nic.example' in device.attributes", false],
  ["has(device.attributes['nic.example'].mac)", false],
  ["device.attributes['nic.example'].mac == 'x'", 'CEL runtime error: no such key: mac'],
  ["cel.bind(own, device.attributes['gpu.example'], own.model == 'a100' && own.numa == 1)", true],
  [
    'cel.bind(1, 2, true)',
    'CEL compile error: compilation failed: ERROR: <input>:1:10: cel.bind() variable names must be simple identifiers\n | cel.bind(1, 2, true)\n | .........^',
  ],
  ['device.allowMultipleAllocations', false],
  ["device.attributes['gpu.example'].model", 'CEL expression does not come to a bool'],
])('%s is %s of a device', (expression, want) => {
  const verdict = meetsCondition(expression, 'gpu.example', gpu);
  expect(typeof verdict === 'boolean' ? verdict : verdict.problem).toBe(want);
});

it('an expression that could take too long is known before it runs', () => {
  const keys = (name: string): string => `device.attributes[${name}]`;
  const cheap = compileDeviceCondition(`${keys("'a'")}.x == 'y'`);
  expect(cheap).toMatchObject({ isTooDear: false });
  const dear = compileDeviceCondition(
    `device.attributes.all(a, ${keys('a')}.all(b, device.attributes.all(c, ${keys('c')}.all(d, d == b))))`,
  );
  expect(dear).toMatchObject({ isTooDear: true });
});
