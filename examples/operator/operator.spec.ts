import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { load } from 'js-yaml';
import {
  configMaps,
  ensureDefinition,
  isConditionTrue,
  isNotFound,
  runOperator,
  type CustomResourceDefinition,
} from 'podwright/client';
import { startCluster } from 'podwright/test';
import { startWidgets } from './operator.ts';
import { widgets } from './widget.ts';

const definition = load(
  readFileSync(new URL('widget.crd.yaml', import.meta.url), 'utf8'),
) as CustomResourceDefinition;
const namespace = 'default';

/** Until it holds, ten seconds at most. */
async function eventually(claim: () => Promise<boolean>): Promise<void> {
  for (
    const giveUp = Date.now() + 10_000;
    !(await claim());
    await new Promise((resolve) => void setTimeout(resolve, 20))
  )
    assert(Date.now() < giveUp, `not within ten seconds: ${claim}`);
}

test('a Widget has as many parts as it says, whatever happens to them, and takes them with it', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await ensureDefinition(client, definition);
  const stop = new AbortController();
  const running = runOperator({ client, start: startWidgets, signal: stop.signal });
  const texts = async (): Promise<readonly (string | undefined)[]> =>
    (await client.list(configMaps, { namespace, labelSelector: 'example.com/widget=w' })).items.map(
      ({ data }) => data?.['text'],
    );
  const where = { namespace, name: 'w' };

  await client.create(widgets, { metadata: where, spec: { parts: 3, text: 'a' } });
  await eventually(async () =>
    isConditionTrue((await client.get(widgets, where)).status?.conditions, 'Ready'),
  );
  assert.deepEqual(await texts(), ['a', 'a', 'a']);

  await client.delete(configMaps, { namespace, name: 'w-1' });
  await client.patch(
    configMaps,
    { namespace, name: 'w-2' },
    { kind: 'merge', body: { data: { text: 'x' } } },
  );
  await eventually(async () => (await texts()).join('') === 'aaa');
  await client.patch(widgets, where, { kind: 'merge', body: { spec: { parts: 1, text: 'b' } } });
  await eventually(async () => (await texts()).join('') === 'b');

  await client.delete(widgets, where);
  await eventually(() => client.get(widgets, where).then(() => false, isNotFound));
  assert.deepEqual(await texts(), []);
  stop.abort();
  await running;
});
