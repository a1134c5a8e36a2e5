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
      return await listOnce(client, kind, options);
    } catch (error) {
      if (!isExpired(error) || restarts >= restartsMax) throw error;
    }
  }
}

/**
 * The pages of a list at one resource version, one after another: for who does not need all at once.
 * @throws {E_API} Expired (`isExpired`) when it takes longer than the server keeps its history; then begin again
 */
export async function* listPages<T>(
  client: ApiClient,
  kind: KindRef<T>,
  options: ListOptions = {},
): AsyncGenerator<ListResult<T>, void, void> {
  let page = await client.list(kind, { limit: pageSize, ...options });
  yield page;
  while (page.continue !== undefined) {
    page = await client.list(kind, { limit: pageSize, ...options, continue: page.continue });
    yield page;
  }
}

async function listOnce<T>(
  client: ApiClient,
  kind: KindRef<T>,
  options: ListOptions,
): Promise<ListResult<T>> {
  const items: T[] = [];
  let resourceVersion = '';
  for await (const page of listPages(client, kind, options)) {
    if (page.continue === undefined && items.length === 0) return page;
    for (const item of page.items) items.push(item);
    resourceVersion = page.resourceVersion;
  }
  return { items, resourceVersion, continue: undefined };
}
