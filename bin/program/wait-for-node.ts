import type { Node } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';

export function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** Resolves with the node as soon as the claim about it holds. */
export function waitForNode(
  cache: Informer<Node>,
  name: string,
  claim: (node: Node) => boolean,
): Promise<Node> {
  const { promise, resolve: found } = Promise.withResolvers<Node>();
  const watch = cache.onChange(({ key, current }) => {
    if (key === name && current !== undefined && claim(current)) found(current);
  });
  return promise.finally(() => watch[Symbol.dispose]());
}
