import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '#api/schema/kinds.ts';
import { deploymentNamed, podNamed, startTestServer, type TestServer } from './test-server.fixture.ts';

/** Small and repeatable random numbers (xorshift32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const odd: readonly unknown[] = [
  null,
  '',
  'x',
  0,
  -1,
  1.5,
  1e21,
  true,
  [],
  {},
  [null],
  [[]],
  '__proto__',
  '\u0000',
  '\ud800',
  'a'.repeat(300),
  { __proto__: null, a: { b: { c: [] } } },
];
const contentTypes = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/merge-patch+json',
  'application/json-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  '',
];
const parameters = [
  'limit=-1',
  'limit=x',
  'continue=%00',
  'resourceVersion=-1',
  'resourceVersion=1',
  'labelSelector=%28%28',
  'pretty=1',
  'fieldSelector=a',
  'fieldSelector==',
  'dryRun=All',
  'fieldValidation=Strict',
  'gracePeriodSeconds=x',
  'watch=0',
  'propagationPolicy=Nope',
  'timeoutSeconds=1e9',
  'labelSelector=a%20in%20%28b',
  'labelSelector=a%3Db',
  'force=true',
];

describe('handle(): whatever comes', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T; // Lists here are never empty.
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  /** The value with a few of its members replaced by something odd. */
  const mutate = (value: unknown): unknown => {
    if (random(12) === 0) return pick(odd);
    if (Array.isArray(value)) return value.map(mutate);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, member]) => [
      random(20) === 0 ? 'bogus' : key,
      mutate(member),
    ]);
    return Object.fromEntries(entries);
  };
  const bodies = [
    podNamed('p'),
    deploymentNamed('d'),
    { metadata: { name: 'x' }, spec: { ports: [{ port: 80 }], type: 'NodePort' } },
  ];
  const body = (): Uint8Array => {
    const bytes = Buffer.from(JSON.stringify(mutate(pick(bodies))) ?? '');
    if (random(4) > 0) return bytes;
    const cut = bytes.subarray(0, random(bytes.length + 1));
    return random(2) === 0 ? cut : Buffer.concat([Buffer.from('k8s\0'), cut]);
  };
  const path = (): string => {
    const kind = pick(kinds);
    const group = kind.group === '' ? '/api' : `/apis/${kind.group}`;
    const scope = kind.namespaced && random(8) > 0 ? '/namespaces/default' : '';
    const name = random(2) === 0 ? '' : `/${pick(['x', 'p', 'd', 'default', '%ff', '..', 'a%2fb'])}`;
    const sub =
      name !== '' && random(3) === 0
        ? `/${pick(['status', 'scale', 'log', 'binding', 'eviction', 'token', 'proxy'])}`
        : '';
    const query = Array.from({ length: random(3) }, () => pick(parameters)).join('&');
    return `${group}/${kind.version}${scope}/${kind.resource}${name}${sub}?${query}`;
  };

  it(`answers 2,000 odd requests without failing itself (SEED=${seed})`, async () => {
    const failures: string[] = [];
    for (let count = 0; count < 2000; count++) {
      const method = pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'POST', 'PATCH']);
      const target = path();
      // Deleting everything is not odd; and a delete would take the objects that the others need.
      if (method === 'DELETE' && random(4) > 0) continue;
      const type = pick(contentTypes);
      const options =
        method === 'GET' ? {} : { body: body(), headers: type === '' ? {} : { 'content-type': type } };
      const answer = await test.call(method, target, options);
      const isOwnFault = answer.status >= 500 && answer.text.includes('"reason":"InternalError"');
      if (isOwnFault) failures.push(`${method} ${target} ${type}: ${answer.text.slice(0, 300)}`);
    }
    expect(failures).toEqual([]);
    expect((await test.call('GET', '/api/v1/namespaces/default')).status).toBe(200);
  });
});
