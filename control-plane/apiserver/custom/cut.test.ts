/** Definitions that go while their server ends, and definitions of a store that two servers have. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noEtcd, startEtcd, type EtcdServers } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { customPath, definitionOf, definitionsPath } from './definition.fixture.ts';

type Answer = Awaited<ReturnType<TestServer['call']>>;

async function until(test: TestServer, path: string, isWanted: (answer: Answer) => boolean): Promise<Answer> {
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const answer = await test.call('GET', path);
    if (isWanted(answer)) return answer;
    if (deadline.aborted) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    await new Promise(setImmediate);
  }
}

const isServed = ({ status }: Answer): boolean => status === 200;
const isGone = ({ status }: Answer): boolean => status === 404;
const object = (kind: string, name: string, more: object = {}): object => ({
  apiVersion: 'crd.example.com/v1',
  kind,
  metadata: { name },
  ...more,
});
const path = (plural: string): string => `${definitionsPath}/${plural}.crd.example.com`;

it('a definition goes on going, wherever its server was cut off', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'podwright-custom-'));
  try {
    for (let turns = 0; turns < 6; turns++) {
      const plural = `cuts${turns}`;
      const before = await startTestServer({ dataDir });
      await before.make(definitionsPath, definitionOf(plural, `Cut${turns}`));
      await until(before, `${customPath}/${plural}`, isServed);
      for (let count = 0; count < 20; count++)
        await before.make(`${customPath}/${plural}`, object(`Cut${turns}`, `c${count}`));
      await before.call('DELETE', path(plural));
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await before[Symbol.asyncDispose]();
      await using after = await startTestServer({ dataDir });

      await until(after, path(plural), isGone);
      expect((await after.call('GET', `${customPath}/${plural}`)).status).toBe(404);
      const { values } = await after.server.store.range(`/registry/crd.example.com/${plural}/`);
      expect(values).toEqual([]);
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

describe.skipIf(noEtcd !== '')(`two servers of one store ${noEtcd}`, () => {
  const stack = new AsyncDisposableStack();
  let etcd: EtcdServers;
  let one: TestServer;
  let other: TestServer;
  beforeAll(async () => {
    etcd = stack.use(await startEtcd({}));
    one = stack.use(await startTestServer({ etcd: { endpoints: etcd.urls } }));
    other = stack.use(await startTestServer({ etcd: { endpoints: etcd.urls } }));
  });
  afterAll(() => stack.disposeAsync());

  const count = (type: string): object => ({
    type: 'object',
    properties: { spec: { type: 'object', properties: { count: { type } } } },
  });

  it('serve what either was told of, by the newest schema', async () => {
    await one.make(definitionsPath, definitionOf('boths', 'Both', { schema: count('string') }));
    await until(other, `${customPath}/boths`, isServed);
    const made = await other.make(`${customPath}/boths`, object('Both', 'a', { spec: { count: 'x' } }));
    expect((await one.call('GET', `${customPath}/boths/a`)).json).toEqual(made);
    const found = await one.call('GET', path('boths'));
    const spec = found.json['spec'] as unknown as { readonly versions: readonly object[] };
    const versions = [{ ...spec.versions[0], schema: { openAPIV3Schema: count('integer') } }];
    await one.call('PUT', path('boths'), { body: { ...found.json, spec: { ...spec, versions } } });
    const deadline = AbortSignal.timeout(150_000);
    const body = object('Both', 'b', { spec: { count: 3 } });
    let answer = await other.call('POST', `${customPath}/boths`, { body });
    while (answer.status !== 201 && !deadline.aborted)
      answer = await other.call('POST', `${customPath}/boths`, { body });
    expect(answer.status).toBe(201);
  });

  it('remove what either was told to, and both serve it no more', async () => {
    await one.make(definitionsPath, definitionOf('goings', 'Going'));
    await until(other, `${customPath}/goings`, isServed);
    for (let made = 0; made < 30; made++)
      await other.make(`${customPath}/goings`, object('Going', `g${made}`));
    await other.call('DELETE', path('goings'));
    await Promise.all([
      until(one, `${customPath}/goings`, isGone),
      until(other, `${customPath}/goings`, isGone),
      until(one, path('goings'), isGone),
    ]);
  });

  it('accept names once', async () => {
    const names = { plural: 'same', kind: 'Same' };
    await one.make(definitionsPath, definitionOf('same', 'Same'));
    await until(other, `${customPath}/same`, isServed);
    await other.make(
      definitionsPath,
      definitionOf('sames', 'Same', { spec: { names: { ...names, plural: 'sames' } } }),
    );
    const { json } = await until(one, path('sames'), ({ json: read }) =>
      Array.isArray(read['status']?.['conditions']),
    );
    const conditions = json['status']?.['conditions'] as unknown as readonly Json[];
    expect(conditions[0]).toMatchObject({ type: 'NamesAccepted', status: 'False' });
  });
});
