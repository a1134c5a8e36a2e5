import type { Pod, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { isGang, minCountOf, podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import { isTerminal, isTerminating } from '#api/pod/state.ts';
import type { Change } from '#client/informer.ts';
import type { FilterPlugin } from '#control-plane/scheduler/plugin.ts';

/** What the scheduler knows of PodGroups: the groups, the pods of each, and who waits for what (PreEnqueue of GangScheduling). */
export class PodGroups {
  readonly #find: (key: string) => PodGroup | undefined;
  /** By group: its pods that are on nodes or may be put there, by key. */
  readonly #members = new Map<string, Map<string, Pod>>();
  /** By group: keys of pods that are not tried yet. */
  readonly #held = new Map<string, Set<string>>();

  /** `find` is asked for a group by `namespace/name`. */
  constructor(find: (key: string) => PodGroup | undefined = () => undefined) {
    this.#find = find;
  }

  get(key: string): PodGroup | undefined {
    return this.#find(key);
  }

  /** The gang that the pod is of: whose pods go to nodes together. */
  gangOf(pod: Pod): PodGroup | undefined {
    const key = podGroupKeyOf(pod);
    const group = key === undefined ? undefined : this.#find(key);
    return group !== undefined && isGang(group) ? group : undefined;
  }

  /** Pods of the group that are on nodes or may be put there. */
  membersOf(key: string): readonly Pod[] {
    return [...(this.#members.get(key)?.values() ?? [])];
  }

  /**
   * Takes a change of a pod. `isOurs`: whether a pod without a node may be tried by this scheduler.
   * @returns the group that got one more pod
   */
  take({ key, old, current }: Change<Pod>, isOurs: (pod: Pod) => boolean): string | undefined {
    const before = old && podGroupKeyOf(old);
    const now = current && podGroupKeyOf(current);
    if (before === undefined && now === undefined) return undefined;
    if (before !== undefined && before !== now) this.#leave(before, key);
    if (current === undefined || now === undefined) return undefined;
    if (!isMember(current, isOurs)) {
      this.#leave(now, key);
      return undefined;
    }
    const members = this.#members.get(now) ?? new Map<string, Pod>();
    const known = members.get(key);
    this.#members.set(now, members.set(key, current));
    const isSame = known !== undefined && known.metadata?.uid === current.metadata?.uid;
    return isSame && known.spec?.nodeName === current.spec?.nodeName ? undefined : now;
  }

  /** Why the pod is not tried yet; undefined: it may be. It is remembered until `release`. */
  hold(pod: Pod): string | undefined {
    const key = podGroupKeyOf(pod);
    if (key === undefined) return undefined;
    const why = this.#whyNot(key);
    const held = this.#held.get(key) ?? new Set<string>();
    if (why === undefined) held.delete(objectKey(pod));
    else held.add(objectKey(pod));
    if (held.size > 0) this.#held.set(key, held);
    else this.#held.delete(key);
    return why;
  }

  /** Whether it was held, and still is. */
  isHeld(pod: Pod): boolean {
    const key = podGroupKeyOf(pod);
    return key !== undefined && this.#held.get(key)?.has(objectKey(pod)) === true;
  }

  /** Pods that were held, and those that still are with why. */
  release(key: string): { readonly free: readonly string[]; readonly held: readonly string[]; why: string } {
    const keys = [...(this.#held.get(key) ?? [])];
    const why = this.#whyNot(key);
    if (why !== undefined) return { free: [], held: keys, why };
    this.#held.delete(key);
    return { free: keys, held: [], why: '' };
  }

  /** In the words of kube-scheduler 1.36. */
  #whyNot(key: string): string | undefined {
    const group = this.#find(key);
    if (group === undefined)
      return `waiting for pod's pod group "${key.slice(key.indexOf('/') + 1)}" to appear in scheduling queue`;
    const count = this.#members.get(key)?.size ?? 0;
    return isGang(group) && count < minCountOf(group)
      ? 'waiting for minCount pods from a gang to appear in scheduling queue'
      : undefined;
  }

  #leave(group: string, key: string): void {
    const members = this.#members.get(group);
    if (members?.delete(key) === true && members.size === 0) this.#members.delete(group);
    const held = this.#held.get(group);
    if (held?.delete(key) === true && held.size === 0) this.#held.delete(group);
  }
}

/** A pod that ended, or goes before it was placed, is of no use to its group; one that is held by gates is none yet. */
function isMember(pod: Pod, isOurs: (pod: Pod) => boolean): boolean {
  if (isTerminal(pod)) return false;
  return (pod.spec?.nodeName ?? '') === '' ? !isTerminating(pod) && isOurs(pod) : true;
}

/** What may help a pod whose gang did not fit, where it did itself: more of the gang. What helps the others takes it along. */
export const gangScheduling: FilterPlugin = {
  name: 'GangScheduling',
  filter: () => undefined,
  mayHelp: (pod, event) =>
    (event.kind === 'podGroup' || event.kind === 'podOfGroup') && event.key === podGroupKeyOf(pod),
};
