import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { matchesFields, parseFieldSelector } from '#api/meta/field-selector.ts';
import { matchesLabels, parseLabelSelector } from '#api/meta/selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, stringMapOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  podNamed,
  startTestServer,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const nodes = '/api/v1/nodes';
const kind = builtIn('', 'v1', 'nodes');
const merge = { 'content-type': 'application/merge-patch+json' };

/** Every operator, alone and with others; what a watch is found by, and what it is not. */
const queries = [
  ['', 'a=1'],
  ['', 'a!=1'],
  ['', 'a in (1,2)'],
  ['', 'a'],
  ['', '!a'],
  ['', 'a=1,b'],
  ['spec.unschedulable=true', ''],
  ['spec.unschedulable!=true', ''],
  ['spec.unschedulable=true', 'a=1'],
  ['metadata.name=n1', ''],
  ['metadata.name=n1', 'a=1'],
  ['metadata.name!=n1', ''],
  ['metadata.name=n1,spec.unschedulable=false', '!b'],
] as const;

/** Small and repeatable random numbers (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function selects([fields, labels]: readonly [string, string], object: JsonObject): boolean {
  return (
    matchesFields(kind, parseFieldSelector(fields), object) &&
    matchesLabels(parseLabelSelector(labels), stringMapOf(at(object, 'metadata.labels')))
  );
}

/** What a watch with selectors sees of what one without them saw. */
function expected(query: (typeof queries)[number], all: readonly Json[]): readonly Json[] {
  const last = new Map<string, Json>();
  return all.flatMap((event) => {
    const object = event['object'] ?? {};
    const name = String(at(object, 'metadata.name'));
    const before = last.get(name);
    const isGone = String(event['type']) === 'DELETED';
    if (isGone) last.delete(name);
    else last.set(name, object);
    const was = before !== undefined && selects(query, before);
    const is = !isGone && selects(query, object);
    if (!was && !is) return [];
    const type = was ? (is ? 'MODIFIED' : 'DELETED') : 'ADDED';
    const shown = type === 'DELETED' && before !== undefined ? asOf(before, object) : object;
    return [{ type, object: shown } as unknown as Json];
  });
}

/** The object as it was, with the revision at which it went. */
function asOf(before: Json, after: Json): Json {
  const resourceVersion = at(after, 'metadata.resourceVersion');
  return { ...before, metadata: { ...before['metadata'], resourceVersion } } as unknown as Json;
}

describe('selectors of lists and watches', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const write = async (random: (below: number) => number): Promise<void> => {
    const path = `${nodes}/n${random(4)}`;
    const label = (): string | null => [null, '1', '2', '3'][random(4)] ?? null;
    const labels = { a: label(), b: label() };
    const body = { metadata: { labels }, spec: { unschedulable: random(2) === 1 } };
    const { status } = await test.call(random(6) === 0 ? 'DELETE' : 'PATCH', path, { body, headers: merge });
    if (status === 404) await test.make(nodes, { metadata: { name: path.slice(nodes.length + 1) } });
  };

  it('tell of updates what a look at each object would, of the past and live, and list what is there', async () => {
    const random = randomFrom(20_261_130);
    const stop = new AbortController();
    const watch = async (from: number, [fields, labels]: readonly [string, string]): Promise<Json[]> => {
      const query = new URLSearchParams({
        ...{ watch: 'true', resourceVersion: String(from), fieldSelector: fields, labelSelector: labels },
      });
      const events: Json[] = [];
      const reading = (async () => {
        for await (const event of test.watch(`${nodes}?${query}`, stop.signal)) events.push(event);
      })();
      reading.catch(() => {}); // Aborted at the end.
      return events;
    };
    const from = test.server.store.revision;
    const [all, ...live] = await Promise.all(
      [['', ''] as const, ...queries].map((query) => watch(from, query)),
    );
    for (let round = 0; round < 120; round++) await write(random);
    const replayed = await Promise.all(queries.map((query) => watch(from, query)));
    for (let round = 0; round < 40; round++) await write(random);
    const newest = (): number => Number(at(all?.at(-1), 'object.metadata.resourceVersion'));
    await expect.poll(newest).toBe(test.server.store.revision);
    for (const [index, query] of queries.entries()) {
      const want = expected(query, all ?? []);
      await expect.poll(() => live[index], { message: query.join(' ') }).toEqual(want);
      await expect.poll(() => replayed[index], { message: query.join(' ') }).toEqual(want);
      const asked = new URLSearchParams({ fieldSelector: query[0], labelSelector: query[1] });
      const listed = objectsOf((await test.call('GET', `${nodes}?${asked}`)).json['items']);
      const whole = objectsOf((await test.call('GET', nodes)).json['items']);
      expect(listed).toEqual(whole.filter((object) => selects(query, object)));
    }
    stop.abort();
  });

  it('parse no object that was written here, for labels or for fields', async () => {
    await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    const pods = '/api/v1/namespaces/default/pods';
    for (let index = 0; index < 50; index++) {
      const labels = { app: `x${index % 10}`, own: `o${index}` };
      const pod = podNamed(`p${index}`, { metadata: { name: `p${index}`, labels } });
      await test.make(pods, pod);
    }
    const transport = test.server.transport();
    const list = async (query: string): Promise<Json> => {
      const { body } = await transport.request({ method: 'GET', path: `${pods}?${query}`, headers: {} });
      if (!(body instanceof Uint8Array)) throw new TypeError('a short list is whole');
      return original(Buffer.from(body).toString());
    };
    const original = JSON.parse.bind(JSON);
    const parse = vi.spyOn(JSON, 'parse');
    try {
      expect((await list('labelSelector=app%3Dx1'))['items']).toHaveLength(5);
      expect((await list('labelSelector=own+in+(o1,o2)'))['items']).toHaveLength(2);
      expect((await list('fieldSelector=status.phase%3DPending'))['items']).toHaveLength(50);
      expect((await list('fieldSelector=spec.nodeName%3Dn1'))['items']).toHaveLength(0);
      expect((await list('fieldSelector=metadata.name%3Dp7'))['items']).toHaveLength(1);
      expect((await list('fieldSelector=metadata.namespace%21%3Ddefault'))['items']).toHaveLength(0);
      expect(parse).not.toHaveBeenCalled();
    } finally {
      parse.mockRestore();
    }
  });

  it('parse an object of an earlier life never for its labels, and once for its fields, before somebody asks', async () => {
    const directory = test.directory;
    await test.server.close();
    const again = await startTestServer({ dataDir: directory });
    const pods = '/api/v1/namespaces/default/pods';
    const parse = vi.spyOn(JSON, 'parse');
    const parsedBy = async (query: string): Promise<number> => {
      parse.mockClear();
      await again.server.transport().request({ method: 'GET', path: `${pods}?${query}`, headers: {} });
      return parse.mock.calls.filter(([text]) => String(text).includes('"spec":')).length;
    };
    try {
      expect(await parsedBy('labelSelector=app%3Dx1')).toBe(0);
      expect(await parsedBy('fieldSelector=spec.nodeName%3Dn1')).toBe(0); // What is whose node's business, the server knows.
      expect(await parsedBy('fieldSelector=status.phase%3DPending')).toBe(0);
    } finally {
      parse.mockRestore();
      await again[Symbol.asyncDispose]();
    }
  });
});
