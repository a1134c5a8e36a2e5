import { expect, it } from 'vitest';
import { configMaps } from '#api/schema/kind-ref.ts';
import { expired } from '#api/errors/status.ts';
import type { ApiClient } from './client.ts';
import { listAll } from './list-all.ts';

it('begins a list anew when a page has expired, three times', async () => {
  const asked: unknown[] = [];
  const client = {
    list: async (_kind: unknown, options: { readonly continue?: string }) => {
      asked.push(options.continue);
      if (options.continue !== undefined) throw expired('too old');
      return { items: [{}], resourceVersion: '1', continue: 'next' };
    },
  } as unknown as ApiClient;
  await expect(listAll(client, configMaps)).rejects.toThrow('too old');
  expect(asked).toHaveLength(8);
});
