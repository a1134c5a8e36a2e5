import type { MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { AdmissionPlugin } from './admission/admission.ts';
import { keepAdmission } from './admission/keep-admission.ts';
import { emptyBooks, keepBooks } from './authz/access-books.ts';

export interface KeptFacts {
  readonly facts: Pick<ServerContext, 'books' | 'namespaces' | 'hooks' | 'policies'>;
  readonly metrics: readonly ReadMetric[];
}

/** What authorizers and admission look up, kept as the store has it. */
export async function keepFacts(
  parts: MirrorParts,
  undo: AsyncDisposableStack,
  plugins: readonly AdmissionPlugin[],
): Promise<KeptFacts> {
  const books = emptyBooks();
  undo.use(await keepBooks(parts, books));
  const { kept, metrics } = undo.use(await keepAdmission(parts, plugins));
  return { facts: { books, ...kept }, metrics };
}
