import type { KindRef } from '#api/schema/kind-ref.ts';
import { isExpired } from './api-error.ts';
import type { ApiClient, ListOptions, ListResult } from './client.ts';

const pageSize = 500;
const restartsMax = 3;

/** The whole list at one resource version, read in pages; begun again when a page expires meanwhile. */
export async function listAll<T>(
  client: ApiClient,
  kind: KindRef<T>,
  options: ListOptions = {},
): Promise<ListResult<T>> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await listPages(client, kind, options);
    } catch (error) {
      if (!isExpired(error) || restarts >= restartsMax) throw error;
    }
  }
}

async function listPages<T>(
  client: ApiClient,
  kind: KindRef<T>,
  options: ListOptions,
): Promise<ListResult<T>> {
  let page = await client.list(kind, { limit: pageSize, ...options });
  if (page.continue === undefined) return page;
  const items = [...page.items];
  while (page.continue !== undefined) {
    page = await client.list(kind, { limit: pageSize, ...options, continue: page.continue });
    items.push(...page.items);
  }
  return { items, resourceVersion: page.resourceVersion, continue: undefined };
}
