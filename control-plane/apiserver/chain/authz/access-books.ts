import type { PolicyRule } from '#api/generated/objects.ts';
import type { MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import { keepNodeGraph } from './node/keep-node-graph.ts';
import { NodeGraph } from './node/node-graph.ts';
import { bootstrapRules } from './rbac/bootstrap-policy.ts';
import { keepRbacBook } from './rbac/keep-rbac-book.ts';
import { RbacBook } from './rbac/rbac-book.ts';

/** What authorizers go by, beside what they are asked: kept from what is stored. */
export interface AccessBooks {
  readonly rbac: RbacBook;
  readonly nodes: NodeGraph;
  /** Of the ClusterRole system:node: what all nodes may, whatever is stored under that name. */
  readonly nodeRules: readonly PolicyRule[];
}

export function emptyBooks(): AccessBooks {
  return { rbac: new RbacBook(), nodes: new NodeGraph(), nodeRules: bootstrapRules('system:node') };
}

/** Keeps the books as what is stored says. Resolves when they are whole. */
export async function keepBooks(parts: MirrorParts, { rbac, nodes }: AccessBooks): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(await keepRbacBook(parts, rbac));
  stack.use(await keepNodeGraph(parts, nodes));
  return stack.move();
}
