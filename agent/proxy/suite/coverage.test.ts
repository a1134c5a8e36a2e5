import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaFacts } from '#api/facts/facts.ts';
import { families } from '#agent/proxy/packet-net.fixture.ts';
import { proxyModes } from '#agent/proxy/service-rules.ts';
import { features, type Feature } from './features.fixture.ts';
import { rows } from './rows.fixture.ts';

const cells = proxyModes.flatMap((mode) => families.map((family) => ({ mode, family })));
const familyNames = { ip: 'IPv4', ip6: 'IPv6' } as const;

const rowsOf = (name: string) => rows.filter(({ shows }) => shows.includes(name));

/** Of each mode and family how many rows of packets there are, or `·`: the reasons and the tests are below. */
function describeFeature(name: string, { tests = [], why }: Feature): string {
  const own = rowsOf(name);
  const counts = cells.map(({ mode, family }) => {
    const there = own.filter(({ except }) => except?.(mode, family) === undefined).length;
    return (there === 0 ? '·' : String(there)).padStart(5);
  });
  const exceptions = own.flatMap(({ except }) =>
    cells.flatMap(({ mode, family }) => {
      const reason = except?.(mode, family);
      return reason === undefined ? [] : [`    not ${mode} ${familyNames[family]}: ${reason}`];
    }),
  );
  return [
    `${name.padEnd(44)}${counts.join('')}`,
    ...own.map((row) => `    ${row.name}`),
    ...exceptions,
    ...tests.map((each) => `    ${each.file}: ${each.name}`),
    ...(why === undefined ? [] : [`    (${why})`]),
  ].join('\n');
}

function renderCoverage(): string {
  const modes = proxyModes.map((mode) => `  ${mode.padEnd(8)}`).join('');
  const header = `${''.padEnd(44)}${modes}\n${''.padEnd(44)}${cells.map(({ family }) => ` ${familyNames[family]}`).join('')}`;
  const parts = (['Services', 'pods'] as const).map((of) => {
    const own = [...features].filter(([, feature]) => feature.of === of);
    return `${of}\n\n${own.map(([name, feature]) => describeFeature(name, feature)).join('\n')}`;
  });
  return `${header}\n${parts.join('\n\n')}\n`;
}

test('which packets, or else which tests, show what: in each mode and family', async () => {
  await expect(renderCoverage()).toMatchFileSnapshot('golden/coverage.txt');
});

test('each feature has packets in every mode and family, or tests and a reason', () => {
  const bare = [...features]
    .filter(([name, { tests = [], why }]) => {
      const own = rowsOf(name);
      const isWhole = cells.every(({ mode, family }) =>
        own.some(({ except }) => except?.(mode, family) === undefined),
      );
      return (
        !isWhole &&
        own.every(({ except }) => except === undefined) &&
        (tests.length === 0 || why === undefined)
      );
    })
    .map(([name]) => name);
  expect(bare).toEqual([]);
});

test.each([...features].flatMap(([name, { tests = [] }]) => tests.map((each) => [name, each] as const)))(
  '%s: its test is there',
  (_name, { file, name }) => {
    expect(existsSync(file), file).toBe(true);
    expect(readFileSync(file, 'utf8').includes(name), `${file}: ${name}`).toBe(true);
  },
);

test('each field of a Service, and of endpoints what packets go by, is some feature', () => {
  const types = [
    'ServiceSpec',
    'ServicePort',
    'SessionAffinityConfig',
    'ClientIPConfig',
    'LoadBalancerIngress',
  ];
  const fields = [
    ...types.map((type) => `core.v1.${type}`),
    'discovery.v1.EndpointConditions',
    'discovery.v1.EndpointHints',
  ].flatMap((type) =>
    Object.keys(schemaFacts().types[type]?.f ?? {}).map((field) => `${type.split('.').at(-1)}.${field}`),
  );
  const named = [...features.values()].flatMap(({ fields = [] }) => fields);
  expect(named.toSorted()).toEqual(fields.toSorted());
});

test('names of rows are their own, and what they show are features', () => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  expect(rows.flatMap(({ shows }) => shows).filter((name) => !features.has(name))).toEqual([]);
});
