import { expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { validatePod } from './pod.ts';

const kind = findKindByName('v1', 'Pod');
if (kind === undefined) throw new Error('no kind Pod');

const complaints = (names: readonly string[]): readonly string[] =>
  validatePod(
    applyDefaults(kind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: {
        containers: [{ name: 'c', image: 'i' }],
        securityContext: { sysctls: names.map((name) => ({ name, value: '1' })) },
      },
    }),
  ).map((error) => `${error.field}: ${renderFieldError(error)}`);

const text =
  'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';

it.each([
  'foo-',
  'kernel.sem=..',
  'Kernel.Sem',
  'net/../kernel/sem',
  'net.ipv4.conf.*',
  '.net',
  'a'.repeat(254),
])('validatePod() refuses the sysctl %j', (name) =>
  expect(complaints([name])).toEqual([
    `spec.securityContext.sysctls[0].name: Invalid value: ${JSON.stringify(name)}: ${text}`,
  ]),
);

it.each(['net.ipv4.tcp_syncookies', 'net/ipv4/conf/eth0.100/forwarding', 'vm.swappiness', 'a-b'])(
  'validatePod() takes the sysctl %j',
  (name) => expect(complaints([name])).toEqual([]),
);

it('validatePod() names a sysctl that is there twice', () =>
  expect(complaints(['kernel.sem', 'kernel.sem'])).toEqual([
    'spec.securityContext.sysctls[1].name: Duplicate value: "kernel.sem"',
  ]));
