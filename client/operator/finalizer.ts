import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { updateAgain } from './update-again.ts';

export interface FinalizerOptions<T> {
  readonly client: ApiClient;
  readonly kind: KindRef<T>;
  /** `example.com/cleanup` */
  readonly name: string;
  /** Undoes what was made for the object outside the cluster. Done again after a failure, or when this process ended within it. */
  readonly cleanup: (object: T, signal: AbortSignal) => Promise<void>;
}

/**
 * Sees that an object has the finalizer before anything is made for it, and that `cleanup` has run before it goes. Right from any
 * cut point: call it at the start of each `reconcile`.
 * @returns the object as it is to be worked on; undefined: it goes, and there is nothing more to do for it
 */
export async function keepFinalizer<T extends KubeObject>(
  object: T,
  options: FinalizerOptions<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { name, cleanup } = options;
  const finalizers = object.metadata?.finalizers ?? [];
  if (object.metadata?.deletionTimestamp === undefined)
    return finalizers.includes(name) ? object : addFinalizer(object, options);
  if (!finalizers.includes(name)) return undefined;
  await cleanup(object, signal);
  signal.throwIfAborted();
  await writeFinalizers(object, options, (others) => others.filter((other) => other !== name));
  return undefined;
}

/** Nothing may be added to what is going by now. */
function addFinalizer<T extends KubeObject>(object: T, options: FinalizerOptions<T>): Promise<T | undefined> {
  const add = (others: readonly string[]): readonly string[] =>
    others.includes(options.name) ? others : [...others, options.name];
  return writeFinalizers(object, options, add).then((written) =>
    written?.metadata?.deletionTimestamp === undefined ? written : undefined,
  );
}

/** Undefined: the object is no longer there, nor is another of its name meant. */
async function writeFinalizers<T extends KubeObject>(
  object: T,
  { client, kind, name: own }: FinalizerOptions<T>,
  change: (finalizers: readonly string[]) => readonly string[],
): Promise<T | undefined> {
  const { namespace, name = '', uid } = object.metadata ?? {};
  let isAnother = false;
  try {
    const written = await updateAgain(client, { kind, namespace, name }, (current) => {
      const before = current.metadata?.finalizers ?? [];
      isAnother = uid !== undefined && current.metadata?.uid !== uid;
      const isGoing = current.metadata?.deletionTimestamp !== undefined;
      const after = isAnother || (isGoing && !before.includes(own)) ? before : change(before);
      if (after.length === before.length) return undefined;
      return { ...current, metadata: { ...current.metadata, finalizers: after } };
    });
    return isAnother ? undefined : written;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
