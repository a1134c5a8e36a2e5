import type { JsonObject } from '#api/meta/object.ts';

/** What becomes of the objects of a kind once they are stored. */
export type KindEffect =
  /** Something of ours acts on them: the file where that begins. */
  | { readonly kind: 'acted'; readonly by: string }
  /** Nothing acts on them, nor does anything of Kubernetes itself: records, questions, and what others are to act on. */
  | { readonly kind: 'inert'; readonly why: string }
  /** Kubernetes acts on them and we do not yet: every write is answered with a Warning that says what does not happen. */
  | { readonly kind: 'unacted'; readonly what: string };

/** Parts of a kind that is acted on which have no effect yet: how an object says that it has one, and what does not happen. */
export interface PartEffect {
  readonly part: string;
  readonly what: string;
  readonly find: (object: JsonObject) => readonly string[];
}

/** Something of ours acts on them: `by` is the file where that begins. */
export function acted(by: string): KindEffect {
  return { kind: 'acted', by };
}

/** Nothing acts on them. */
export function inert(why: string): KindEffect {
  return { kind: 'inert', why };
}

/** Nothing acts on them yet. */
export function unacted(what: string): KindEffect {
  return { kind: 'unacted', what };
}

/** What several kinds say. */
export const policies: KindEffect = acted('control-plane/apiserver/chain/admission/policies/policy-book.ts');
export const ruled: KindEffect = acted('control-plane/apiserver/chain/authz/rbac/rbac-book.ts');
export const devicesGiven: KindEffect = acted('control-plane/scheduler/devices/device-binder.ts');
/** Where requests are given their turn. */
export const shares: KindEffect = acted('control-plane/apiserver/chain/flow-control/shared-seats.ts');
export const answered: KindEffect = inert('a question, answered at once and not stored');
