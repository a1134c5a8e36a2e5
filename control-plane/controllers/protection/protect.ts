import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planProtection } from './plan.ts';

interface Protected<T> {
  readonly kind: KindRef<T>;
  readonly object: T;
  readonly finalizer: string;
  /** Whether anybody uses it, as far as the caches know. */
  readonly isSeenUsed: () => boolean;
  /** The same, asked of the server: whoever uses it may be newer than the caches, and what is let go is gone. */
  readonly isUsed: () => Promise<boolean>;
}

/** Gives an object the finalizer that keeps it, or takes it off one that goes and is not used. */
export async function protect<T extends KubeObject>(
  context: ControllerContext,
  { kind, object, finalizer, isSeenUsed, isUsed }: Protected<T>,
): Promise<void> {
  const step = planProtection(object, finalizer, isSeenUsed);
  if (step === 'none' || (step === 'remove' && (await isUsed()))) return;
  await write(context, { kind, object, finalizer, step });
}

interface Write<T> {
  readonly kind: KindRef<T>;
  readonly object: T;
  readonly finalizer: string;
  readonly step: 'add' | 'remove';
}

/** Only of the revision that was looked at: whoever wrote since may use it. */
export async function write<T extends KubeObject>(
  { client, informers }: ControllerContext,
  { kind, object, finalizer, step }: Write<T>,
): Promise<void> {
  const kept = (object.metadata?.finalizers ?? []).filter((one) => one !== finalizer);
  const finalizers = step === 'add' ? [...kept, finalizer] : kept;
  const next = { ...object, metadata: { ...object.metadata, finalizers } };
  try {
    informers.for(kind).observe(await client.update(kind, next));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
