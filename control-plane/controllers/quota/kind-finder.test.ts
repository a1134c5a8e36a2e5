import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createKindFinder } from './kind-finder.ts';

it('a group that does not answer matters to those who count its kinds alone', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const groups = ['up.example.com', 'down.example.com'];
  const versionsOf = (group: string) => [{ version: 'v1', groupVersion: `${group}/v1` }];
  const widgets = { name: 'widgets', kind: 'Widget', namespaced: true, verbs: ['list'] };
  const answers: Record<string, unknown> = {
    '/apis': { groups: groups.map((name) => ({ name, versions: versionsOf(name) })) },
    '/api/v1': { resources: [] },
    '/apis/up.example.com/v1': { resources: [widgets] },
  };
  client.raw = async (_method, path) => {
    const body = answers[path];
    return body === undefined ? { status: 503, body: '' } : { status: 200, body: JSON.stringify(body) };
  };
  const finder = createKindFinder(client, clock);
  const find = (group: string) => finder.find([{ group, resource: 'widgets' }]);
  expect(await find('up.example.com')).toMatchObject([{ kind: 'Widget' }]);
  await expect(find('down.example.com')).rejects.toThrow('no answer of down.example.com/v1');
  answers['/apis/down.example.com/v1'] = { resources: [widgets] };
  expect(await find('down.example.com')).toMatchObject([{ kind: 'Widget' }]);
});
