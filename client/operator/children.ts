import { isControlledBy } from '#api/meta/owner.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { equalJson, isObject } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { isNotFound } from '#client/api-error.ts';
import type { Informer, ObjectRef } from '#client/client.ts';
import type { Source } from '#client/controller.ts';
import { byControllerUid, controlledBy, withController } from './owned.ts';
import type { OperatorContext } from './run-operator.ts';

export interface ChildrenOptions<T> {
  /** Whose they are. */
  readonly of: KindRef<unknown>;
  /** What they are: in their owner's namespace, or cluster-wide as it. */
  readonly kind: KindRef<T>;
  /** As whom they are applied: one name for all that this operator applies. */
  readonly fieldManager: string;
  /** All of them have these labels; others are not looked at. Default: all of the kind. */
  readonly labelSelector?: string | undefined;
}

/** The objects that others of one kind control. */
export interface Children<T> {
  /** Wakes their owners when one of them changes. */
  readonly source: Source;
  readonly cache: Informer<T>;
  /** Those of an owner that are known now. */
  list(owner: KubeObject): readonly T[];
  /**
   * Sees that an owner controls exactly these objects: applies each that is not there as given (what others set beside stays), and deletes
   * those that are given no more. Right from any cut point, where names follow from the owner's.
   * @throws {E_CONFLICT} for a name that another has; {E_API} what the server refuses
   */
  keep(owner: KubeObject, wanted: readonly T[]): Promise<void>;
}

/** The children of one kind, by server-side apply. Their cache is shared with whoever else asks for the same selection. */
export function createChildren<T extends KubeObject>(
  { client, informers }: Pick<OperatorContext, 'client' | 'informers'>,
  { of, kind, fieldManager, labelSelector }: ChildrenOptions<T>,
): Children<T> {
  const indexes = { controller: byControllerUid };
  const cache = informers.for(kind, { indexes, ...(labelSelector === undefined ? {} : { labelSelector }) });
  /** What this process applied last: who takes a field back has to be told so, though the object still has all that is wanted. */
  const appliedLast = new Map<string, T>();
  cache.onChange(({ key, current }) => {
    if (current === undefined) appliedLast.delete(key);
  });
  const list = ({ metadata }: KubeObject): readonly T[] => cache.byIndex('controller', metadata?.uid ?? '');
  const read = async (where: ObjectRef): Promise<T | undefined> => {
    try {
      return await client.get(kind, where);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const apply = async (owner: KubeObject, given: T): Promise<void> => {
    const child = withController(given, owner, of);
    const key = objectKey(child);
    const known = cache.get(key);
    if (known !== undefined && equalJson(appliedLast.get(key), child) && contains(known, child)) return;
    const { namespace, name = '' } = child.metadata ?? {};
    const present = known ?? (await read({ namespace, name }));
    if (present !== undefined && !isControlledBy(present, owner.metadata?.uid))
      throw new PodwrightError('E_CONFLICT', `apply ${kind.resource} ${key}: it is there, and another's`);
    // By its uid: one that was made anew meanwhile is not taken over.
    const meant = { ...child, metadata: { ...child.metadata, uid: present?.metadata?.uid } };
    cache.observe(await client.apply(kind, meant, { fieldManager, force: true }));
    appliedLast.set(key, child);
  };
  const remove = async ({ metadata = {} }: T): Promise<void> => {
    const { namespace, name = '', uid } = metadata;
    try {
      await client.delete(kind, { namespace, name }, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  return {
    source: controlledBy(cache, of),
    cache,
    list,
    keep: async (owner, wanted) => {
      for (const child of wanted) await apply(owner, child);
      const keys = new Set(wanted.map((child) => objectKey(withController(child, owner, of))));
      for (const child of list(owner)) if (!keys.has(objectKey(child))) await remove(child);
    },
  };
}

/** Whether a value has all that another has: a server leaves out what is empty. Lists are compared as wholes: item by item, each with all that the other's has. */
function contains(value: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    const items: readonly unknown[] = part;
    return (
      (items.length === 0 && value === undefined) ||
      (Array.isArray(value) &&
        value.length === items.length &&
        items.every((item, index) => contains(value[index], item)))
    );
  }
  if (!isObject(part)) return part === undefined || value === part;
  return Object.entries(part).every(([name, member]) => isObject(value) && contains(value[name], member));
}
