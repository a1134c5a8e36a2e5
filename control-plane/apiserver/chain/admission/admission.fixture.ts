import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createTurns } from '#base/turns.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { emptyBooks } from '#control-plane/apiserver/chain/authz/access-books.ts';
import { createAuthorizer } from '#control-plane/apiserver/chain/authz/authorizers.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { InFlight } from '#control-plane/apiserver/chain/in-flight.ts';
import { RequestMetrics } from '#control-plane/apiserver/serve/metrics.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { ServiceAllocators } from '#control-plane/apiserver/services/allocators.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store } from '#control-plane/store/store.ts';
import type { AdmissionPlugin } from './admission.ts';

/** As much of a server as stores objects, with these plugins. It has namespace `n`. */
export async function contextWith(
  admission: readonly AdmissionPlugin[],
  objects: Store = createFakeStore(),
): Promise<ServerContext> {
  const clock = createFakeClock();
  const books = emptyBooks();
  const registry = new Registry(objects, () => clock.now());
  const context = {
    ...{
      registry,
      clock,
      logger: silentLogger,
      admission,
      authorizer: createAuthorizer(books, ['Authenticated']),
      books,
    },
    allocators: new ServiceAllocators('10.0.0.0/24'),
    quotaTurns: createTurns(),
    kinds: createKindCatalogue(),
    inFlight: new InFlight(),
    metrics: new RequestMetrics({ revision: () => 0, inFlight: () => ({ mutating: 0, readOnly: 0 }) }),
    tokens: { sign: async () => ({ token: 't', expiresAtMs: 0 }) },
    closing: new AbortController().signal,
  };
  await registry.create(builtIn('', 'v1', 'namespaces'), { metadata: { name: 'n' } });
  return context as unknown as ServerContext;
}

/** The object as somebody else stores it, without a word to admission. */
export async function store(context: ServerContext, resource: string, object: JsonObject): Promise<void> {
  const [version = '', plural = ''] = resource.split('/').slice(-2);
  const group = resource.split('/').length === 3 ? (resource.split('/')[0] ?? '') : '';
  await context.registry.create(builtIn(group, version, plural), object);
}
