import type { LabelSelector, MatchResources } from '#api/generated/objects.ts';
import { compilePolicy, type CompiledPolicy } from '#api/cel/admission/compile-policy.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { at, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  matchConstraintsOf,
  type MatchConstraints,
} from '#control-plane/apiserver/chain/admission/match/match-constraints.ts';
import type { ManifestBook } from '#control-plane/apiserver/chain/admission/manifests/keep-manifests.ts';
import {
  noManifests,
  type ManifestSet,
} from '#control-plane/apiserver/chain/admission/manifests/manifest-set.ts';
import { MatchIndex, type Matched } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import { mirrorAll, type MirrorParts, type MirrorSink } from '#control-plane/apiserver/objects/mirror.ts';

/** A policy that is stored, or stands in a file. */
export interface Policy {
  readonly name: string;
  readonly constraints: MatchConstraints;
  /** Whether a request goes on where it could not be judged. */
  readonly ignoresFailures: boolean;
  /** What its parameters are: `v1`, `ConfigMap`; undefined where it has none. */
  readonly paramKind: { readonly apiVersion: string; readonly kind: string } | undefined;
  /** Of a MutatingAdmissionPolicy: whether it is asked again when others changed the object after it. */
  readonly isReinvoked: boolean;
  /** Made when it is first asked for. */
  compiled(): CompiledPolicy;
}

/** Where a policy applies, by what parameters, and to what end. */
export interface Binding {
  readonly name: string;
  readonly policyName: string;
  readonly constraints: MatchConstraints;
  readonly paramRef: ParamRef | undefined;
  /** `Deny`, `Warn`, `Audit`; of a mutation none. */
  readonly actions: readonly string[];
}

export interface ParamRef {
  readonly name: string;
  /** '' for the request's own. */
  readonly namespace: string;
  readonly selector: LabelSelector | undefined;
  readonly isNeeded: boolean;
}

/** The policies of one kind and their bindings, as requests look them up. Values: others are another one. */
export interface PolicySet {
  readonly policies: MatchIndex<Policy>;
  readonly bindings: MatchIndex<Binding>;
}

/** What is stored now. */
export interface PolicyBook {
  readonly validating: PolicySet;
  readonly mutating: PolicySet;
}

const noPolicies: PolicySet = { policies: new MatchIndex<Policy>([]), bindings: new MatchIndex<Binding>([]) };

/** For who has none. */
export const noPolicyBook: PolicyBook = { validating: noPolicies, mutating: noPolicies };

const group = 'admissionregistration.k8s.io';

/** A sort of policies and that of its bindings. */
interface PolicyKinds {
  readonly policy: Kind;
  readonly binding: Kind;
}

export const validatingKinds: PolicyKinds = {
  policy: builtIn(group, 'v1', 'validatingadmissionpolicies'),
  binding: builtIn(group, 'v1', 'validatingadmissionpolicybindings'),
};

export const mutatingKinds: PolicyKinds = {
  policy: builtIn(group, 'v1', 'mutatingadmissionpolicies'),
  binding: builtIn(group, 'v1', 'mutatingadmissionpolicybindings'),
};

/** Follows policies and bindings, behind those of files: a change is known before who made it is answered (embedded engine). */
export async function keepPolicies(
  parts: MirrorParts,
  manifests: ManifestBook,
): Promise<{ readonly policies: PolicyBook } & Disposable> {
  const validating = new KeptSet(validatingKinds, () => manifests.of('ValidatingAdmissionPolicy'));
  const mutating = new KeptSet(mutatingKinds, () => manifests.of('MutatingAdmissionPolicy'));
  const mirrors = await mirrorAll(parts, [...validating.sinks(), ...mutating.sinks()]);
  return {
    policies: {
      get validating() {
        return validating.now();
      },
      get mutating() {
        return mutating.now();
      },
    },
    [Symbol.dispose]: () => mirrors[Symbol.dispose](),
  };
}

class KeptSet {
  readonly #kinds: PolicyKinds;
  readonly #static: () => ManifestSet;
  #usedStatic: ManifestSet = noManifests;
  readonly #policies = new Map<string, Policy>();
  readonly #bindings = new Map<string, Binding>();
  #made: PolicySet | undefined;

  /** @param ofFiles what files have: the same value until another is taken */
  constructor(kinds: PolicyKinds, ofFiles: () => ManifestSet) {
    this.#kinds = kinds;
    this.#static = ofFiles;
  }

  sinks(): readonly (readonly [Kind, MirrorSink])[] {
    const { policy, binding } = this.#kinds;
    return [
      [policy, this.#sinkOf(this.#policies, readPolicy)],
      [binding, this.#sinkOf(this.#bindings, readBinding)],
    ];
  }

  #sinkOf<T>(kept: Map<string, T>, read: (object: JsonObject) => T): MirrorSink {
    return {
      put: ({ key, object }) => {
        kept.set(key, read(object));
        this.#made = undefined;
      },
      remove: (key) => {
        kept.delete(key);
        this.#made = undefined;
      },
    };
  }

  now(): PolicySet {
    const ofFiles = this.#static();
    if (ofFiles !== this.#usedStatic) this.#made = undefined;
    this.#usedStatic = ofFiles;
    const { policy, binding } = this.#kinds;
    const fromFiles = <T>({ resource }: Kind, read: Read<T>): readonly T[] =>
      (ofFiles.objects.get(resource) ?? []).map((object) => read(object, { isStatic: true }));
    return (this.#made ??= {
      policies: indexOf(fromFiles(policy, readPolicy), this.#policies),
      bindings: indexOf(fromFiles(binding, readBinding), this.#bindings),
    });
  }
}

type Read<T> = (object: JsonObject, how: { readonly isStatic?: boolean }) => T;

/** Those of files first, each in the order of their names. */
function indexOf<T extends { readonly name: string; readonly constraints: MatchConstraints }>(
  ofFiles: readonly T[],
  kept: ReadonlyMap<string, T>,
): MatchIndex<T> {
  const items = [...ofFiles, ...[...kept.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))];
  return new MatchIndex(items.map((item) => ({ item, constraints: item.constraints })));
}

/** The bindings of a policy: what a file brings and what is in the API have nothing to do with each other, whatever they are called. */
export function boundTo(
  { item: policy }: Matched<Policy>,
  bindings: readonly Matched<Binding>[],
): readonly Matched<Binding>[] {
  return bindings.filter(
    ({ item: { policyName, constraints } }) =>
      policyName === policy.name && constraints.isStatic === policy.constraints.isStatic,
  );
}

/** A policy as it is stored, or stands in a file. */
export function readPolicy(object: JsonObject, how: { readonly isStatic?: boolean } = {}): Policy {
  const spec = objectOf(object['spec']);
  const { apiVersion, kind } = objectOf(spec['paramKind']);
  let compiled: CompiledPolicy | undefined;
  return {
    name: stringOf(at(object, 'metadata.name')),
    constraints: matchConstraintsOf(objectOf(spec['matchConstraints']) as MatchResources, how),
    ignoresFailures: spec['failurePolicy'] === 'Ignore',
    paramKind: kind === undefined ? undefined : { apiVersion: stringOf(apiVersion), kind: stringOf(kind) },
    isReinvoked: spec['reinvocationPolicy'] === 'IfNeeded',
    compiled: () => (compiled ??= compilePolicy(spec)),
  };
}

function readBinding(object: JsonObject, how: { readonly isStatic?: boolean } = {}): Binding {
  const spec = objectOf(object['spec']);
  const { paramRef } = spec;
  return {
    name: stringOf(at(object, 'metadata.name')),
    policyName: stringOf(spec['policyName']),
    constraints: matchConstraintsOf(objectOf(spec['matchResources']) as MatchResources, {
      ...how,
      matchesAll: true,
    }),
    paramRef: paramRef === undefined ? undefined : readParamRef(objectOf(paramRef)),
    actions: listOf(spec['validationActions']).map(stringOf),
  };
}

function readParamRef(given: JsonObject): ParamRef {
  const { name, namespace, selector, parameterNotFoundAction } = given;
  return {
    name: stringOf(name),
    namespace: stringOf(namespace),
    selector: selector === undefined ? undefined : (objectOf(selector) as LabelSelector),
    isNeeded: parameterNotFoundAction !== 'Allow',
  };
}
