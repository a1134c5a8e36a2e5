import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { schemaFacts } from '#api/facts/facts.ts';
import type { Container, Pod, PodSpec, Volume } from '#api/generated/objects.ts';
import { bindVolume } from '#agent/volume/volume-kinds.ts';
import { refusalOf } from './admit/admission.ts';
import { fieldCoverage, type Coverage } from './field-coverage.fixture.ts';
import type { NodeFacts } from './node-facts.ts';
import { unsupportedInContainers, unsupportedInPods } from './admit/unsupported.ts';

const prefix = 'core.v1.';

/** The struct that a field holds, through lists and maps; undefined for a scalar. */
function structOf(type: string, field: string): string | undefined {
  const fact = schemaFacts().types[prefix + type]?.f?.[field];
  const expression = (typeof fact === 'string' ? fact : (fact?.[0] ?? '')).replace(/^(\[\]|map:)+/, '');
  // Selectors are the same everywhere (api/meta/selector.ts).
  const isOurs = expression.startsWith(prefix) && schemaFacts().types[expression]?.f !== undefined;
  return isOurs ? expression.slice(prefix.length) : undefined;
}

/** Every type that is reached from PodSpec through fields that are acted on. */
function reachedTypes(): readonly string[] {
  const reached = new Set(['PodSpec']);
  for (const type of reached) {
    for (const [field, coverage] of Object.entries(fieldCoverage[type] ?? {})) {
      const struct = coverage.kind === 'acted' ? structOf(type, field) : undefined;
      if (struct !== undefined) reached.add(struct);
    }
  }
  return [...reached];
}

const lines = Object.entries(fieldCoverage).flatMap(([type, fields]) =>
  Object.entries(fields).map(([field, coverage]): [string, string, Coverage] => [type, field, coverage]),
);

describe('every field of a pod', () => {
  test.each(reachedTypes())('%s has a line for each', (type) => {
    const known = Object.keys(schemaFacts().types[prefix + type]?.f ?? {});
    expect(Object.keys(fieldCoverage[type] ?? {}).toSorted()).toEqual(known.toSorted());
  });

  test('no line is about a type that no pod can hold', () => {
    expect(Object.keys(fieldCoverage).toSorted()).toEqual(reachedTypes().toSorted());
  });

  test.each(lines.filter(([, , coverage]) => coverage.kind === 'acted' || coverage.kind === 'server'))(
    '%s.%s is read where the line says',
    (_type, field, coverage) => {
      const file = 'by' in coverage ? coverage.by : '';
      expect(existsSync(file), file).toBe(true);
      expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`\\b${field}\\b`));
    },
  );
});

const node: NodeFacts = {
  name: 'n',
  ips: [],
  allocatable: { cpuMilli: 2000, memoryBytes: 1e9, storageBytes: 1e9 },
  memoryBytes: 1e9,
  podsMax: 2,
  podPidsMax: undefined,
  isSelinuxEnabled: true,
  userNamespaceProblem: undefined,
  hostsFile: '',
};
const container = (more: Partial<Container>): Pod =>
  withSpec({ containers: [{ name: 'c', image: 'i', ...more }] });
const withSpec = (spec: Partial<PodSpec>): Pod => ({
  metadata: { uid: 'u' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

/** For each field that is refused, pods that ask for it, and how the refusal names it. */
const asking: readonly (readonly [field: string, pod: Pod, text: string])[] = [
  [
    'PodSecurityContext.seLinuxOptions',
    withSpec({ securityContext: { seLinuxOptions: { level: 's0' } } }),
    'seLinuxOptions',
  ],
  [
    'SecurityContext.seLinuxOptions',
    container({ securityContext: { seLinuxOptions: { level: 's0' } } }),
    'seLinuxOptions',
  ],
];

describe('what is refused', () => {
  test.each(asking)('%s by its name', (_field, pod, text) => {
    expect(refusalOf(pod, [], node)).toEqual({
      reason: 'UnexpectedAdmissionError',
      message: `${text} is not supported by this node`,
    });
  });

  test('has a row, and rows are for what is refused', () => {
    const rows = [...unsupportedInPods, ...unsupportedInContainers].map(({ field }) => field);
    expect(new Set(asking.map(([field]) => field))).toEqual(new Set(rows));
    const refused = lines
      .filter(([, , coverage]) => coverage.kind === 'refused' && coverage.by.endsWith('unsupported.ts'))
      .map(([type, field]) => `${type}.${field}`);
    expect(new Set(refused)).toEqual(new Set(rows));
  });

  test('labels of SELinux mean nothing on a host without it, as elsewhere', () => {
    const pod = withSpec({ securityContext: { seLinuxOptions: { level: 's0' } } });
    expect(refusalOf(pod, [], { ...node, isSelinuxEnabled: false })).toBeUndefined();
  });

  const volumes = lines.filter(([type, , coverage]) => type === 'Volume' && coverage.kind === 'refused');
  test.each(volumes)('%s.%s by its name', (_type, field) => {
    const volume: Volume = { name: 'v', [field]: {} };
    expect(() => bindVolume(volume)).toThrow(`volume "v": kind ${field} is not supported by this node`);
  });
});
