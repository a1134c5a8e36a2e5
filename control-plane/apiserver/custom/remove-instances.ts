import { asStoredKind } from '#api/custom/custom-kinds.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { isPodwrightError } from '#base/errors.ts';
import { reading } from '#control-plane/apiserver/objects/store-answer.ts';
import { nameInKey, namespaceInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import type { RangeResult } from '#control-plane/store/store.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { deleteObject, plainDelete } from '#control-plane/apiserver/verbs/delete.ts';

const pageLength = 500;
/** Objects that go at once: they share what a write costs the disk. */
const atOnceMax = 64;

/**
 * Deletes all objects of a kind, and resolves when they are gone: finalizers may hold them for as long as they like. Begun again, it goes
 * on where it was.
 * @throws {E_CLOSED} when the server closes first
 */
export async function removeInstances(
  context: ServerContext,
  kind: Kind,
  signal: AbortSignal,
): Promise<void> {
  const { registry } = context;
  const stored = asStoredKind(kind);
  const prefix = registry.prefixOf(stored, '');
  let from: string | undefined = prefix;
  while (from !== undefined && !signal.aborted) {
    const asked: { readonly from: string; readonly limit: number } = { from, limit: pageLength };
    const page: RangeResult = await reading(registry.store.range(prefix, asked), stored, 'list');
    await deleteKeys(
      context,
      stored,
      page.values.map(({ key }) => key),
    );
    const last: string | undefined = page.values.at(-1)?.key;
    from = page.more && last !== undefined ? `${last}\0` : undefined;
  }
  await untilGone(context, stored, signal);
}

async function deleteKeys(context: ServerContext, kind: Kind, keys: readonly string[]): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < keys.length) {
      const key = keys[next++] ?? '';
      const where = { namespace: kind.namespaced ? namespaceInKey(key) : '', name: nameInKey(key) };
      try {
        await deleteObject(context, { kind, ...where, options: plainDelete, user: undefined });
      } catch (error) {
        // Somebody else was faster.
        if (!isPodwrightError(error, 'E_API') || error.detail['reason'] !== 'NotFound') throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, keys.length) }, work));
}

/** Looks again whenever one of them changes; creations that were under way as the definition began to go may come late. */
async function untilGone(context: ServerContext, kind: Kind, signal: AbortSignal): Promise<void> {
  const { registry } = context;
  const prefix = registry.prefixOf(kind, '');
  while (!signal.aborted) {
    const page = await reading(registry.store.range(prefix, { limit: pageLength }), kind, 'list');
    if (page.values.length === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    signal.addEventListener('abort', wake, { once: true });
    using _watch = registry.store.watch(prefix, page.revision, wake, { onEnd: wake });

    // Of those that go already nothing changes.
    await deleteKeys(
      context,
      kind,
      page.values.map(({ key }) => key),
    );
    await promise;
    signal.removeEventListener('abort', wake);
  }
}
