import type { Node, Pod, Service } from '#api/generated/objects.ts';

interface Placed {
  readonly service: Service;
  readonly nodeOf: (name: string) => Node | undefined;
}

/**
 * Whether the pod is of a node that is not there: nobody knows whether it is. It is no endpoint until the node comes, but of a Service
 * that wants its pods told whatever becomes of them.
 */
export function isStranded({ spec }: Pod, { service, nodeOf }: Placed): boolean {
  const { nodeName = '' } = spec ?? {};
  if (nodeName === '' || service.spec?.publishNotReadyAddresses === true) return false;
  return nodeOf(nodeName) === undefined;
}

/** Which Services have pods of nodes that are not there, by `namespace/name`. */
export class MissingNodes {
  readonly #nodesOf = new Map<string, ReadonlySet<string>>();

  /** What the Service has now. */
  note(key: string, backends: Placed & { readonly pods: readonly Pod[] }): void {
    const stranded = backends.pods.filter((pod) => isStranded(pod, backends));
    if (stranded.length === 0) this.#nodesOf.delete(key);
    else this.#nodesOf.set(key, new Set(stranded.map(({ spec }) => spec?.nodeName ?? '')));
  }

  forget(key: string): void {
    this.#nodesOf.delete(key);
  }

  /** The Services that wait for the node. */
  waitingFor(node: string): readonly string[] {
    return [...this.#nodesOf].filter(([, nodes]) => nodes.has(node)).map(([key]) => key);
  }
}
