/** Variables, environments and the downward API: what a small reference says, below every bound, and nothing else above. */
import {
  array,
  boolean,
  constantFrom,
  integer,
  oneof,
  record,
  string,
  tuple,
  type Arbitrary,
} from 'fast-check';
import { expect, test } from 'vitest';
import { createArgumentRoom } from '#agent/kubelet/render/argument-room.ts';
import { subPathOf } from '#agent/kubelet/render/container-config.ts';
import { downwardValues } from '#agent/kubelet/render/downward.ts';
import { renderEnvironment } from '#agent/kubelet/render/environment.ts';
import type { Pod } from '#api/generated/objects.ts';
import { expandVariables } from '#api/pod/expand.ts';
import { isPodwrightError } from '#base/errors.ts';
import { fuzz } from './fuzz.ts';

/** Names that objects of JavaScript have anyway are names as others are. */
const name = constantFrom<string>(
  'A',
  'B',
  'C',
  'a.b',
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
);
const text: Arbitrary<string> = array(
  oneof(
    name.map((each) => `$(${each})`),
    constantFrom(
      '$',
      '$$',
      '(',
      ')',
      '$(',
      '$)',
      '$$(A)',
      '$$$(B)',
      '$(A',
      'x',
      '\u00e9',
      '\ud83d\ude00',
      '$(A)$(A)$(A)',
    ),
    string({ unit: 'binary', maxLength: 3 }),
  ),
  { maxLength: 12 },
).map((parts) => parts.join(''));

/** One character after the other, as Kubernetes' documentation has it. */
function reference(given: string, values: ReadonlyMap<string, string>): string {
  let out = '';
  for (let at = 0; at < given.length; at++) {
    const end = given.indexOf(')', at);
    if (given[at] !== '$' || at + 1 === given.length) out += given[at];
    else if (given[at + 1] === '(' && end >= 0) {
      out += values.get(given.slice(at + 2, end)) ?? given.slice(at, end + 1);
      at = end;
    } else out += given[++at] === '$' ? '$' : `$${given[at]}`;
  }
  return out;
}

fuzz('expansion is that of the reference, or has no room', {
  arbitrary: record({
    given: text,
    values: array(tuple(name, text), { maxLength: 5 }),
    bytesMax: oneof(integer({ min: 0, max: 60 }), constantFrom(131_071)),
  }),
  seconds: 2,
  check: ({ given, values, bytesMax }) => {
    const map = new Map(values);
    const expanded = expandVariables(given, (each) => map.get(each), bytesMax);
    const wanted = reference(given, map);
    expect(expanded).toBe(Buffer.byteLength(wanted) <= bytesMax ? wanted : undefined);
  },
});

const pod = (map: Readonly<Record<string, string>>): Pod =>
  ({
    metadata: { name: 'p', namespace: 'n', uid: 'u', labels: map, annotations: map },
    spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { cpu: '1500m', memory: '1Gi' } } }] },
  }) as unknown as Pod;
const mapOf = (entries: readonly (readonly [string, string])[]): Readonly<Record<string, string>> =>
  Object.fromEntries(entries);
const reference1 = oneof(
  record({
    configMapKeyRef: record({
      name: constantFrom('m', 'none', 'constructor'),
      key: name,
      optional: boolean(),
    }),
  }),
  record({ secretKeyRef: record({ name: constantFrom('m', 'none'), key: name, optional: boolean() }) }),
  record({
    fieldRef: record({
      fieldPath: oneof(
        constantFrom(
          'metadata.name',
          'metadata.labels',
          'metadata.annotations',
          'spec.nodeName',
          'status.podIPs',
          'constructor',
        ),
        tuple(constantFrom('labels', 'annotations', 'constructor'), name).map(
          ([map, key]) => `metadata.${map}['${key}']`,
        ),
      ),
    }),
  }),
  record({
    resourceFieldRef: record({
      containerName: constantFrom('c', 'none', 'constructor'),
      resource: tuple(
        constantFrom('limits', 'requests', 'constructor'),
        oneof(constantFrom('cpu', 'memory', 'ephemeral-storage', 'hugepages-2Mi'), name),
      ).map((parts) => parts.join('.')),
      divisor: constantFrom('0', '1', '1m', '1Mi', ''),
    }),
  }),
);
const variable = oneof(record({ name, value: text }), record({ name, valueFrom: reference1 }));

fuzz('environments: each variable is what it refers to, or an error says which is not there', {
  arbitrary: record({
    data: array(tuple(name, text), { maxLength: 4 }),
    env: array(variable, { maxLength: 8 }),
    path: text,
  }),
  seconds: 2,
  check: ({ data, env, path }) => {
    const map = mapOf(data);
    const secret = mapOf(data.map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    const owner = pod(map);
    const downward = downwardValues({
      pod: owner,
      podIps: ['10.0.0.2'],
      hostIps: ['10.0.0.1'],
      allocatable: { cpuMilli: 2000, memoryBytes: 4096, storageBytes: 1 },
    });
    const known = new Map<string, string>();
    try {
      const rendered = renderEnvironment({
        pod: owner,
        container: { name: 'c', env } as never,
        configMaps: new Map([['m', { data: map } as never]]),
        secrets: new Map([['m', { data: secret } as never]]),
        services: [],
        downward,
        envFiles: new Map(),
      });
      const room = createArgumentRoom();
      for (const { name: key, value } of rendered) {
        expect(typeof value).toBe('string');
        expect(value).not.toContain('[native code]');
        expect(value).not.toBe('NaN');
        room.take(Buffer.byteLength(value), key);
        known.set(key, value);
      }
      for (const entry of env) {
        if (!('valueFrom' in entry) || !('configMapKeyRef' in entry.valueFrom)) continue;
        const { key } = entry.valueFrom.configMapKeyRef;
        const isLast = env.findLast((each) => each.name === entry.name) === entry;
        if (isLast && entry.valueFrom.configMapKeyRef.name === 'm' && Object.hasOwn(map, key))
          expect(known.get(entry.name)).toBe(map[key]);
      }
      const subPath = subPathOf({ name: 'v', mountPath: '/v', subPathExpr: path }, rendered);
      if (path !== '') expect(subPath).toBe(reference(path, known));
    } catch (error) {
      if (!isPodwrightError(error)) throw error;
      expect(['E_NOT_FOUND', 'E_INVALID', 'E_LIMIT']).toContain(error.code);
    }
  },
});

test.each(['constructor', 'toString', '__proto__'])('a key called %s is none unless it is given', (key) => {
  const downward = downwardValues({
    pod: pod({}),
    podIps: [],
    hostIps: [],
    allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 1 },
  });
  expect(downward.field(`metadata.labels['${key}']`)).toBe('');
  expect(() => downward.resource('c', `limits.${key}`, undefined)).toThrow(/unsupported container resource/);
  const input = { pod: pod({}), services: [], downward, envFiles: new Map(), secrets: new Map() };
  const container = { name: 'c', env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'm', key } } }] };
  const configMaps = new Map([['m', { data: {} } as never]]);
  expect(() => renderEnvironment({ ...input, container: container as never, configMaps })).toThrow(
    `couldn't find key ${key}`,
  );
});
