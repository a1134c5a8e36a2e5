import { shutdownTaint } from '#api/meta/cloud-node.ts';
import { findCondition } from '#api/meta/condition.ts';
import { parseTime } from '#api/meta/time.ts';
import type { Node } from '#api/generated/objects.ts';
import type { CloudInstance } from '#control-plane/cloud/cloud.ts';
import { isUninitialized } from '#control-plane/cloud/node/plan.ts';

/** A node that the cloud has not been asked about yet is left alone for so long: clouds tell of new machines late. */
export const uninitializedMsMax = 60_000;

export type LifecyclePlan =
  | { readonly kind: 'leave' }
  /** Ask the cloud whether the instance is there, and runs. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'delete' }
  | { readonly kind: 'taint' }
  | { readonly kind: 'untaint' };

export const isShutDown = ({ spec }: Node): boolean =>
  spec?.taints?.some(({ key, effect }) => key === shutdownTaint.key && effect === shutdownTaint.effect) ===
  true;

/** Who is ready is there: no cloud is asked. Pure. */
export function planNode(node: Node, nowMs: number): LifecyclePlan {
  if (findCondition(node.status?.conditions, 'Ready')?.status === 'True')
    return isShutDown(node) ? { kind: 'untaint' } : { kind: 'leave' };
  const createdMs = parseTime(node.metadata?.creationTimestamp ?? '');
  const isNew = (node.spec?.providerID ?? '') === '' && isUninitialized(node);
  return isNew && nowMs - createdMs < uninitializedMsMax ? { kind: 'leave' } : { kind: 'ask' };
}

/** Of a node that is not ready, by what the cloud says. Pure. */
export function planByInstance(node: Node, instance: CloudInstance | undefined): LifecyclePlan {
  if (instance === undefined) return { kind: 'delete' };
  return instance.isShutDown === true && !isShutDown(node) ? { kind: 'taint' } : { kind: 'leave' };
}
