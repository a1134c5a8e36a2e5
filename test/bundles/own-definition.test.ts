/** A definition as large and deep as those of projects, on a server of the test's own: what the lane does with bundles, without kubectl. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { at, listOf, objectsOf } from '#api/wire/json.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { Tally } from '#test/clients/tally.ts';
import { eventually } from '#test/cluster/cluster.ts';
import { askRules } from './ask-rules.ts';
import { askValues } from './ask-values.ts';
import type { Ask } from './bare-server.ts';
import { ownDefinition } from './own-definition.ts';
import { customKinds } from './read-bundles.ts';
import { namespace, pathOf, sampleObject } from './sample-object.ts';

const definition = ownDefinition();
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const path = `${definitions}/pipelines.own.example.com`;
const kinds = customKinds(definition);
const [kind, beta] = kinds;
if (kind === undefined || beta === undefined) throw new Error('the definition serves two versions');

let test: TestServer;
const ask: Ask = (method, target, body) => test.call(method, target, body === undefined ? {} : { body });
beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: namespace } });
  await test.make(`${definitions}?dryRun=All`, definition);
  await test.call('PATCH', `${path}?fieldManager=own`, {
    body: JSON.stringify(definition),
    headers: { 'content-type': 'application/apply-patch+yaml' },
  });
  await eventually('the definition is Established', async () =>
    objectsOf(at((await test.call('GET', path)).json, 'status.conditions')).some(
      ({ type, status }) => type === 'Established' && status === 'True',
    ),
  );
});
afterAll(() => test[Symbol.asyncDispose]());

/** What fails is in its lines. */
function newTally(): { readonly tally: Tally; readonly lines: string[] } {
  const lines: string[] = [];
  return { tally: new Tally((line) => lines.push(line)), lines };
}

describe('a definition as large as those of projects', () => {
  it('is of their size', () => {
    expect(JSON.stringify(definition).length).toBeGreaterThan(1_000_000);
  });

  it('is stored whole', async () => {
    await expect(test.call('GET', path)).resolves.toMatchObject({
      json: { spec: definition['spec'], status: { storedVersions: ['v1'] } },
    });
  });

  it('keeps a value that fits each part, and refuses one that does not by the name of its field', async () => {
    const { tally, lines } = newTally();
    const counts = await askValues(ask, kind, tally);
    expect(lines).toEqual([]);
    expect(counts.kept).toBeGreaterThan(200);
    expect(counts.refused).toBeGreaterThan(200);
  });

  it.each(kinds)('holds its rules in $version', async (each) => {
    const { tally, lines } = newTally();
    const { all, held } = await askRules(ask, each, tally);
    expect(lines).toEqual([]);
    expect(all).toBeGreaterThan(60);
    expect(held).toBe(all);
  });

  it('has objects that are read and listed in each version, by field and as a table', async () => {
    await test.make(pathOf(kind), sampleObject(kind, 'one'));
    const read = await test.call('GET', `${pathOf(beta)}/one`);
    expect(read.json).toMatchObject({
      apiVersion: 'own.example.com/v1beta1',
      spec: sampleObject(beta, 'one')['spec'],
    });
    const table = await test.call('GET', `${pathOf(beta)}?fieldSelector=spec.class%3Dsample-0`, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    });
    expect(objectsOf(at(table.json, 'columnDefinitions')).map(({ name }) => name)).toEqual([
      ...['Name', 'Class', 'Ready', 'Replicas'],
    ]);
    expect(objectsOf(at(table.json, 'rows')).map(({ cells }) => listOf(cells))).toEqual([
      ['one', 'sample-0', null, 1],
    ]);
  });

  it('is told of in the document of its group, whole', async () => {
    const { text } = await ask('GET', '/openapi/v3/apis/own.example.com/v1');
    const parts = (json: string): number => json.split('"description":').length;
    expect(parts(text)).toBeGreaterThan(parts(JSON.stringify(kind.schema)));
  });
});
