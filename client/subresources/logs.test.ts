import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { podLogs } from './logs.ts';

it('podLogs() gives lines, whatever pieces they come in', async () => {
  const text = 'eins\nzwei drei\n\nvier äöü';
  const bytes = new TextEncoder().encode(text);
  for (let size = 1; size <= bytes.length; size++) {
    const asked: string[] = [];
    const client = {
      ...createFakeApiClient(createFakeClock()),
      stream: async function* (path: string) {
        asked.push(path);
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      },
    };
    const where = { namespace: 'n', name: 'p' };
    const lines = podLogs(client, where, { container: 'a&b', tailLines: 3 }, new AbortController().signal);
    expect(await Array.fromAsync(lines)).toEqual(text.split('\n'));
    expect(asked).toEqual(['/api/v1/namespaces/n/pods/p/log?container=a%26b&tailLines=3']);
  }
});
