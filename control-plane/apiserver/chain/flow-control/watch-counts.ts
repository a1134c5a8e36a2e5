import type { ResourceAttributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';

type Watched = Pick<ResourceAttributes, 'group' | 'resource' | 'namespace'>;

/** By group and namespace, of one resource. */
interface Open {
  readonly group: string;
  readonly byNamespace: Map<string, number>;
}

/** How many watches are told of a write. Those of one name, label or field are not counted: few events are theirs. */
export class WatchCounts {
  /** By resource; a text that is made for each write would cost more than looking at those of its name. */
  readonly #open = new Map<string, readonly Open[]>();

  /** Until it is disposed of, once. */
  add({ group, resource, namespace }: Watched): Disposable {
    const open = this.#opened(group, resource).byNamespace;
    open.set(namespace, (open.get(namespace) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (open.get(namespace) ?? 1) - 1;
        if (left > 0) open.set(namespace, left);
        else open.delete(namespace);
      },
    };
  }

  of({ group, resource, namespace }: Watched): number {
    const open = this.#open.get(resource)?.find((each) => each.group === group)?.byNamespace;
    if (open === undefined) return 0;
    const everywhere = open.get('') ?? 0;
    return namespace === '' ? everywhere : everywhere + (open.get(namespace) ?? 0);
  }

  #opened(group: string, resource: string): Open {
    const all = this.#open.get(resource) ?? [];
    const known = all.find((each) => each.group === group);
    if (known !== undefined) return known;
    const opened = { group, byNamespace: new Map<string, number>() };
    this.#open.set(resource, [...all, opened]);
    return opened;
  }
}
