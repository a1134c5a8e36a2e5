import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, objectsOf } from '#api/wire/json.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { startTestServer, type TestServer } from './test-server.fixture.ts';

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
});
afterAll(() => test[Symbol.asyncDispose]());

const root = '/apis/example.com/v1';
const path = `${root}/namespaces/default/widgets`;
const aggregated = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' };
const table = { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' };

/** The kind is served while `run` does. */
async function whileServed(run: () => Promise<void>): Promise<void> {
  test.server.kinds.change({ added: [widgets] });
  try {
    await run();
  } finally {
    test.server.kinds.change({ removed: [widgets] });
  }
}

async function statusOf(method: string, target: string): Promise<number> {
  return (await test.call(method, target)).status;
}

function widget(name: string, spec: object = { color: 'red' }): object {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, spec };
}

/** Everything that tells of kinds: where it is, and whether it tells of this one. */
async function descriptions(): Promise<Readonly<Record<string, boolean>>> {
  const ask = async (target: string, headers = {}): Promise<string> =>
    (await test.call('GET', target, { headers })).text;
  return {
    aggregated: (await ask('/apis', aggregated)).includes('"widgets"'),
    groups: (await ask('/apis')).includes('"example.com"'),
    group: (await statusOf('GET', '/apis/example.com')) === 200,
    resources: (await ask(root)).includes('widgets/status'),
    paths: (await ask('/')).includes(`"${root}"`),
    openApiV2: (await ask('/openapi/v2')).includes(`${root}/namespaces/{namespace}/widgets`),
    openApiV3: (await ask(`/openapi/v3${root}`)).includes('com.example.v1.WidgetSpec'),
    openApiV3Paths: (await ask('/openapi/v3')).includes(`"${root.slice(1)}"`),
  };
}

describe('a kind that comes while the server runs', () => {
  it('is told of at once, and no longer when it went', async () => {
    const before = await descriptions();
    let during = before;
    await whileServed(async () => {
      during = await descriptions();
    });
    expect(Object.values(before)).not.toContain(true);
    expect(Object.values(during)).not.toContain(false);
    expect(await descriptions()).toEqual(before);
  });

  it('is what a client that knows the old answer asks for again', async () => {
    const etagOf = async (target: string, headers = {}): Promise<string> =>
      (await test.call('GET', target, { headers })).headers['etag'] ?? expect.unreachable();
    const before = await etagOf('/apis', aggregated);
    const apps = await etagOf('/openapi/v3/apis/apps/v1');
    await whileServed(async () => {
      const asked = { headers: { ...aggregated, 'if-none-match': before } };
      expect((await test.call('GET', '/apis', asked)).status).toBe(200);
      expect(await etagOf('/openapi/v3/apis/apps/v1')).toBe(apps); // Nothing happened there.
    });
    const asked = { headers: { ...aggregated, 'if-none-match': before } };
    expect((await test.call('GET', '/apis', asked)).status).toBe(304);
  });

  it('is described by its own types', async () => {
    await whileServed(async () => {
      const { json } = await test.call('GET', `/openapi/v3${root}`);
      const schema = at(json, ['paths', `${path.replace('default', '{namespace}')}`, 'post']);
      expect(JSON.stringify(schema)).toContain('#/components/schemas/com.example.v1.Widget"');
      expect(at(json, ['components', 'schemas', 'com.example.v1.Widget'])).toMatchObject({
        description: 'Widget is what a client brought.',
        properties: { spec: { description: 'spec says what it is to be.' } },
      });
    });
  });

  it('is created, read, changed and deleted as any', async () => {
    await whileServed(async () => {
      const made = await test.make(path, widget('crud'));
      expect(made).toMatchObject({ metadata: { generation: 1 }, spec: { size: 3, color: 'red' } });
      const merge = { 'content-type': 'application/merge-patch+json' };
      const patched = await test.call('PATCH', `${path}/crud`, {
        headers: merge,
        body: { spec: { size: 4 } },
      });
      expect(patched.json).toMatchObject({ metadata: { generation: 2 }, spec: { size: 4 } });
      const status = await test.call('PUT', `${path}/crud/status`, {
        body: { ...patched.json, status: { ready: true } },
      });
      expect(status.json).toMatchObject({ metadata: { generation: 2 }, status: { ready: true } });
      const listed = await test.call('GET', path);
      expect(listed.json).toMatchObject({ kind: 'WidgetList', apiVersion: 'example.com/v1' });
      expect(objectsOf(listed.json['items']).map((item) => at(item, 'metadata.name'))).toEqual(['crud']);
      expect(await statusOf('DELETE', `${path}/crud`)).toBe(200);
      expect(await statusOf('GET', `${path}/crud`)).toBe(404);
    });
  });

  it('is checked by its own types', async () => {
    await whileServed(async () => {
      const warned = await test.call('POST', `${path}?fieldValidation=Warn`, {
        body: widget('warned', { color: 'red', bogus: 1 }),
      });
      expect([warned.status, warned.headers['warning']]).toEqual([
        201,
        '299 - "unknown field \\"spec.bogus\\""',
      ]);
      const strict = { body: widget('strict', { color: 'red', bogus: 1 }) };
      expect((await test.call('POST', `${path}?fieldValidation=Strict`, strict)).status).toBe(400);
      expect((await test.call('POST', path, { body: widget('typed', { size: 'x' }) })).status).toBe(400);
      const wrong = await test.call('POST', path, { body: widget('wrong', { color: 'green' }) });
      expect([wrong.status, wrong.json['reason']]).toEqual([422, 'Invalid']);
      await test.call('DELETE', `${path}/warned`);
    });
  });

  it('is shown as a Table', async () => {
    await whileServed(async () => {
      const made = await test.make(path, widget('shown'));
      const { json } = await test.call('GET', path, { headers: table });
      expect(objectsOf(json['columnDefinitions']).map(({ name }) => name)).toEqual(['Name', 'Created At']);
      const stamp = at(made, 'metadata.creationTimestamp');
      expect(objectsOf(json['rows']).map(({ cells }) => cells)).toEqual([['shown', stamp]]);
      await test.call('DELETE', `${path}/shown`);
    });
  });

  it('is watched until it goes', async () => {
    const seen: unknown[] = [];
    await whileServed(async () => {
      const watching = (async () => {
        const events = test.watch(`${path}?watch=true&resourceVersion=0`, AbortSignal.timeout(150_000));
        for await (const event of events) {
          seen.push([event['type'], at(event, 'object.metadata.name')]);
          if (seen.length === 2) test.server.kinds.change({ removed: [widgets] });
        }
      })();
      await test.make(path, widget('watched'));
      await test.call('DELETE', `${path}/watched`);
      await watching;
    });
    expect(seen).toEqual([
      ['ADDED', 'watched'],
      ['DELETED', 'watched'],
    ]);
  });

  it('is unknown once it went, whatever is left of it', async () => {
    await whileServed(async () => {
      await test.make(path, widget('left'));
    });
    const targets = [
      ['GET', path],
      ['GET', `${path}/left`],
      ['GET', `${path}?watch=true`],
      ['DELETE', `${path}/left`],
      ['GET', `${path}/left/status`],
    ] as const;
    for (const [method, target] of targets) expect(await statusOf(method, target), target).toBe(404);
    expect((await test.call('POST', path, { body: widget('late') })).status).toBe(404);
    await whileServed(async () => {
      expect(await statusOf('DELETE', `${path}/left`)).toBe(200);
    });
  });
});
