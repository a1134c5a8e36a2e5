import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { AccessBooks } from '#control-plane/apiserver/chain/authz/access-books.ts';
import type { RequestScope, User } from '#control-plane/apiserver/serve/request.ts';
import type { Verb } from '#control-plane/apiserver/chain/route.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { Counting } from '#control-plane/apiserver/serve/counters.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Turns } from '#base/turns.ts';
import type { Taken } from './held.ts';
import type { ManifestSource } from './manifests/keep-manifests.ts';
import type { NamespaceLabels } from './match/namespace-labels.ts';
import type { Operation } from './operation.ts';
import type { Reinvocation } from './reinvocation.ts';
import type { HookBook } from './webhooks/hook-book.ts';
import type { HookCaller } from './webhooks/hook-caller.ts';
import type { PolicyBook } from './policies/policy-book.ts';

/** What is to be done, known before any object is. */
export interface AdmissionAttributes {
  readonly operation: Operation;
  /** As the request says it: a `connect` may be any, an `update` may be a patch. */
  readonly verb: Verb;
  /** Of the object that the path names: of `pods/p/binding` Pod. */
  readonly kind: Kind;
  /** '' for the object itself. */
  readonly subresource: string;
  /** '' for cluster-scoped kinds. */
  readonly namespace: string;
  /** '' where it is not chosen yet (generateName). */
  readonly name: string;
  readonly user: User;
  readonly dryRun: boolean;
  /** Of a deletion: DeleteOptions as they were given, without kind and apiVersion. */
  readonly options?: JsonObject | undefined;
  /** To be told of the end of who asked, and to warn them; undefined where the server asks itself. */
  readonly scope?: RequestScope | undefined;
}

export interface AdmissionRequest {
  readonly attributes: AdmissionAttributes;
  /** As it is to be, of a create and an update; of a subresource with objects of its own that one (a Binding, a Scale). Frozen to plugins. */
  readonly object?: JsonObject | undefined;
  /** As it is stored: of an update and a delete. */
  readonly old?: JsonObject | undefined;
  /** Of `admit`: what those who may be asked again know of it. */
  readonly reinvocation?: Reinvocation | undefined;
}

/**
 * Whether a plugin has something to say, and whether it says it at once or may look elsewhere first. `seldomWaits`: nearly always at once,
 * and nothing then; `mustWait` says when not.
 */
export type Handling = 'no' | 'atOnce' | 'seldomWaits' | 'mayWait';

/** What a plugin may look into. */
export interface AdmissionContext {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is served now. */
  readonly kinds: KindCatalogue;
  /** By namespace: creations that a quota counts. */
  readonly quotaTurns: Turns;
  /** Whether who asks might do something else as well. */
  readonly authorizer: Authorizer;
  readonly books: AccessBooks;
  /** By which hooks and policies select. */
  readonly namespaces: NamespaceLabels;
  readonly hooks: HookBook;
  readonly hookCaller: HookCaller;
  /** Policies and their bindings. */
  readonly policies: PolicyBook;
  readonly metrics: Counting;
}

/** What a plugin may go by to tell whether it has something to say: what is known at once. */
export type HandlingContext = Pick<AdmissionContext, 'kinds' | 'namespaces' | 'hooks' | 'policies'>;

/**
 * One who has a say in writes and connections. Those of an object run in the order of the list: first all of `admit`, each on what the
 * one before left, then, on the object as it would be stored, all of `validate`. Both may be called again with a newer `old`, when somebody
 * else was first.
 */
export interface AdmissionPlugin {
  /** As upstream calls it. */
  readonly name: string;
  /** Where it has manifests beside what is in the API; absent: nowhere. */
  readonly manifests?: ManifestSource;
  /** Changes nothing. `mayWait` takes an update off its fast path. */
  handles(attributes: AdmissionAttributes, context: HandlingContext): Handling;
  /** Pure. Of an update that is handled `seldomWaits`: whether `validate` has something to say of it. */
  mustWait?(request: AdmissionRequest): boolean;
  /** The object as changed, or undefined where it stays as it is. @throws {E_API} to refuse */
  admit?(
    context: AdmissionContext,
    request: AdmissionRequest,
  ): JsonObject | undefined | Promise<JsonObject | undefined>;
  /**
   * Changes nothing. What it gives is disposed of when the object is stored or given up, and may have something written with it: room that
   * was taken. Only one that may wait gives something. @throws {E_API} to refuse
   */
  validate?(
    context: AdmissionContext,
    request: AdmissionRequest,
  ): Taken | undefined | void | Promise<Taken | undefined | void>;
}
