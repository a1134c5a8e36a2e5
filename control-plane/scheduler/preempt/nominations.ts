import { objectKey } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';

const nobody: readonly Pod[] = [];

/** Pods that wait for others to go from a node (status.nominatedNodeName): what they need there is theirs. */
export class Nominations {
  readonly #onFreed: (pod: Pod) => void;
  readonly #byPod = new Map<string, { readonly pod: Pod; readonly nodeName: string }>();
  readonly #byNode = new Map<string, Map<string, Pod>>();

  /** `onFreed` is told of a pod that needs nothing any more of the node that it was nominated to. */
  constructor(onFreed: (pod: Pod) => void = () => undefined) {
    this.#onFreed = onFreed;
  }

  /** The pod as it is now, which waits. */
  take(key: string, pod: Pod): void {
    const nodeName = pod.status?.nominatedNodeName ?? '';
    if (nodeName === '') this.remove(key);
    else this.nominate(pod, nodeName);
  }

  nominate(pod: Pod, nodeName: string): void {
    const key = objectKey(pod);
    this.remove(key, nodeName);
    this.#byPod.set(key, { pod, nodeName });
    const pods = this.#byNode.get(nodeName) ?? new Map<string, Pod>();
    this.#byNode.set(nodeName, pods.set(key, pod));
  }

  /** @param nodeName where it is now, or is nominated to from now on; undefined: nowhere */
  remove(key: string, nodeName?: string): void {
    const before = this.#byPod.get(key);
    if (before === undefined) return;
    this.#byPod.delete(key);
    const pods = this.#byNode.get(before.nodeName);
    pods?.delete(key);
    if (pods?.size === 0) this.#byNode.delete(before.nodeName);
    if (before.nodeName !== nodeName) this.#onFreed(before.pod);
  }

  nodeOf(key: string): string | undefined {
    return this.#byPod.get(key)?.nodeName;
  }

  /** Asked of each node for each pod: no list is made where nobody is. */
  on(nodeName: string): readonly Pod[] {
    if (this.#byNode.size === 0) return nobody;
    const pods = this.#byNode.get(nodeName);
    return pods === undefined ? nobody : [...pods.values()];
  }
}
