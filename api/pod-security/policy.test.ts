import { describe, expect, it } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import {
  changesPolicyLabels,
  exemptWarnings,
  laxPolicy,
  levelVersionText,
  readPolicy,
  versionOf,
  type Policy,
} from './policy.ts';

const label = (mode: string): string => `pod-security.kubernetes.io/${mode}`;
const labels = (asked: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(asked).map(([mode, value]) => [label(mode), value]));
const texts = ({ enforce, audit, warn }: Policy): readonly string[] =>
  [enforce, audit, warn].map(levelVersionText);
const defaults: Policy = {
  enforce: { level: 'baseline', version: 30 },
  audit: { level: 'restricted', version: 'latest' },
  warn: { level: 'baseline', version: 'latest' },
};

describe('readPolicy()', () => {
  it.each<{
    readonly name: string;
    readonly given: Readonly<Record<string, string>>;
    readonly want: readonly string[];
    readonly errors?: readonly string[];
  }>([
    { name: 'has the defaults', given: {}, want: ['baseline:v1.30', 'restricted:latest', 'baseline:latest'] },
    {
      name: 'takes each from its labels',
      given: { enforce: 'restricted', 'audit-version': 'v1.20', warn: 'privileged', 'warn-version': 'v1.0' },
      want: ['restricted:v1.30', 'restricted:v1.20', 'privileged:v1.0'],
    },
    {
      name: 'warns of what is enforced, where that is stricter than what is warned of elsewhere',
      given: { enforce: 'restricted', 'enforce-version': 'v1.25' },
      want: ['restricted:v1.25', 'restricted:latest', 'restricted:v1.25'],
    },
    {
      name: 'warns of what is enforced by the version that is named for warnings',
      given: { enforce: 'restricted', 'warn-version': 'v1.20' },
      want: ['restricted:v1.30', 'restricted:latest', 'restricted:v1.20'],
    },
    {
      name: 'warns of no less than elsewhere where less is enforced',
      given: { enforce: 'privileged' },
      want: ['privileged:v1.30', 'restricted:latest', 'baseline:latest'],
    },
    {
      name: 'enforces all it can of a level that it cannot read, and is silent of others',
      given: { enforce: 'strict', audit: '', warn: 'Baseline' },
      want: ['restricted:v1.30', 'privileged:latest', 'privileged:latest'],
      errors: ['enforce', 'audit', 'warn'],
    },
    {
      name: 'takes the newest of a version that it cannot read',
      given: { 'enforce-version': '1.25', 'audit-version': 'v2.0', 'warn-version': 'v1.01' },
      want: ['baseline:latest', 'restricted:latest', 'baseline:latest'],
      errors: ['enforce-version', 'audit-version', 'warn-version'],
    },
  ])('$name', ({ given, want, errors = [] }) => {
    const read = readPolicy(labels(given), defaults);
    expect(texts(read.policy)).toEqual(want);
    expect(read.errors.map(({ field }) => field)).toEqual(
      errors.map((mode) => `metadata.labels[${label(mode)}]`),
    );
    for (const error of read.errors) {
      expect(renderFieldError(error)).toMatch(
        /must be one of privileged, baseline, restricted|must be "latest"/,
      );
    }
  });

  it('is lax where nobody says anything, and has no part in labels of others', () => {
    const others = { 'example.com/enforce': 'restricted', constructor: 'x' };
    expect(readPolicy(others, laxPolicy)).toEqual({ policy: laxPolicy, errors: [] });
    expect(texts(laxPolicy)).toEqual(Array(3).fill('privileged:latest'));
  });
});

describe('versionOf()', () => {
  it.each<readonly [string, unknown]>([
    ['latest', 'latest'],
    ['v1.0', 0],
    ['v1.36', 36],
    ['v1.9007199254740993', undefined],
    ['v1.', undefined],
    ['v1.x', undefined],
    ['v1.25.0', undefined],
    ['v0.1', undefined],
    [' v1.2', undefined],
    ['', undefined],
  ])('of %j', (text, want) => {
    expect(versionOf(text)).toBe(want);
  });
});

describe('changesPolicyLabels()', () => {
  it('looks at the six labels alone', () => {
    expect(changesPolicyLabels(labels({ warn: 'baseline' }), labels({ warn: 'baseline' }))).toBe(false);
    expect(changesPolicyLabels({ a: 'b' }, { a: 'c' })).toBe(false);
    for (const mode of ['enforce', 'audit-version', 'warn']) {
      expect(changesPolicyLabels({}, labels({ [mode]: 'x' }))).toBe(true);
      expect(changesPolicyLabels(labels({ [mode]: 'x' }), {})).toBe(true);
    }
  });
});

describe('exemptWarnings()', () => {
  it.each<{ readonly given: Readonly<Record<string, string>>; readonly want: string | undefined }>([
    { given: { enforce: 'baseline' }, want: 'enforce=baseline:latest' },
    {
      given: { enforce: 'restricted', 'enforce-version': 'v1.20', audit: 'privileged', warn: 'baseline' },
      want: 'enforce=restricted:v1.20, warn=baseline:latest',
    },
    { given: { enforce: 'privileged', 'audit-version': 'v1.20' }, want: undefined },
    { given: {}, want: undefined },
  ])('of $given', ({ given, want }) => {
    const { policy } = readPolicy(labels(given), laxPolicy);
    expect(exemptWarnings('kube-system', labels(given), { policy, defaults: laxPolicy })).toEqual(
      want === undefined
        ? []
        : [`namespace "kube-system" is exempt from Pod Security, and the policy (${want}) will be ignored`],
    );
  });

  it('has none where all namespaces have to be so', () => {
    const given = labels({ enforce: 'baseline', 'enforce-version': 'v1.30' });
    const { policy } = readPolicy(given, defaults);
    expect(exemptWarnings('x', given, { policy, defaults })).toEqual([]);
  });
});
