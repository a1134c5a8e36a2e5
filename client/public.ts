/**
 * `podwright/client`: what programs outside this repository may import, documented in docs/client.md. All else is the repository's own
 * and changes without notice. The only file of re-exports (decision 0050); `golden/public.txt` shows what it exports.
 */
export { describeError, isPodwrightError, PodwrightError, type ErrorCode } from '#base/errors.ts';
export { systemClock, createFakeClock, type Clock, type FakeClock } from '#base/clock.ts';
export { silentLogger, type Logger } from '#base/log.ts';
export { backoffMs, type Backoff } from '#base/backoff.ts';
export { done, KeyedQueue, type KeyedQueueOptions, type KeyOutcome } from '#base/keyed-queue.ts';

// Kubernetes' own types, of the version that `api/facts/` is named after, and the kinds.
export type * from '#api/generated/objects.ts';
export * from '#api/schema/kind-ref.ts';
export { objectKey, splitKey, type JsonObject, type KubeObject } from '#api/meta/object.ts';
export {
  findCondition,
  isConditionTrue,
  withCondition,
  withoutCondition,
  type AnyCondition,
} from '#api/meta/condition.ts';
export { controllerRef, isControlledBy, ownerReference } from '#api/meta/owner.ts';
export { equalJson } from '#api/wire/json.ts';

// The client.
export { connect, type Client, type ConnectOptions } from './access/connect.ts';
export { type AccessWishes } from './access/find-access.ts';
export { type Impersonation } from './requests/impersonation.ts';
export type {
  ApiClient,
  ApplyOptions,
  Informer,
  ListOptions,
  ListResult,
  ObjectRef,
  PatchKind,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './client.ts';
export {
  apiFailureOf,
  describeRefusal,
  isAlreadyExists,
  isConflict,
  isConnectionFailure,
  isExpired,
  isForbidden,
  isInvalid,
  isMethodNotSupported,
  isNamespaceTerminating,
  isNotFound,
  isTooManyRequests,
  isUnauthorized,
  reasonOf,
  statusOf,
  type ApiFailure,
} from './api-error.ts';
export { listAll, listPages } from './list-all.ts';
export { discoverKinds, type DiscoveredKind, type Discovery } from './discover-kinds.ts';
export { ensureDefinition } from './custom/establish.ts';
export { kindOf } from './custom/kind-of.ts';
export { renderKinds } from './custom/render-kind.ts';
export { evict } from './subresources/evict.ts';
export { podLogs, type LogOptions } from './subresources/logs.ts';
export { readScale, writeScale } from './subresources/scale.ts';
export { type ExecOptions, type ExecSession } from './subresources/exec.ts';

// What controllers are made of.
export { createInformers, withoutManagedFields } from './informers.ts';
export type { InformerOptions, Informers, InformersOptions } from './informers.ts';
export { type Change, type WritableInformer } from './informer.ts';
export { type IndexFunction } from './indexes.ts';
export { type Selection } from './reflector.ts';
export {
  onlySynced,
  ownKey,
  runController,
  source,
  type Controller,
  type ControllerOptions,
  type Reconciled,
  type Source,
} from './controller.ts';
export {
  annotationsChanged,
  anyOf,
  generationChanged,
  labelsChanged,
  when,
  type ChangeFilter,
} from './operator/change-filter.ts';
export { byControllerUid, controlledBy, controllerKey, withController } from './operator/owned.ts';
export { createChildren, type Children, type ChildrenOptions } from './operator/children.ts';
export { keepFinalizer, type FinalizerOptions } from './operator/finalizer.ts';
export { retryOnConflict, updateAgain, type ConflictOptions } from './operator/update-again.ts';
export { writeStatus } from './operator/write-status.ts';
export {
  processSignal,
  runOperator,
  type OperatorContext,
  type OperatorOptions,
} from './operator/run-operator.ts';
export { defaultLeaseTimes, runWithLease, type LeaderElectionOptions, type LeaseTimes } from './lease.ts';
export {
  createEventRecorder,
  type EventRecorder,
  type EventRecorderOptions,
  type Regarding,
} from './event-recorder.ts';
