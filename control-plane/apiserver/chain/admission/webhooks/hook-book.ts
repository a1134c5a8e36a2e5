import { stringOf, at } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { mirrorKind, type MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { MatchIndex, type Matchable } from '#control-plane/apiserver/chain/admission/match/match-index.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ManifestBook } from '#control-plane/apiserver/chain/admission/manifests/keep-manifests.ts';
import { hooksOf, type Hook } from './hook.ts';

const group = 'admissionregistration.k8s.io';
export const mutatingConfigurations: Kind = builtIn(group, 'v1', 'mutatingwebhookconfigurations');
export const validatingConfigurations: Kind = builtIn(group, 'v1', 'validatingwebhookconfigurations');

/** The hooks that there are now. */
export interface HookBook {
  readonly mutating: MatchIndex<Hook>;
  readonly validating: MatchIndex<Hook>;
}

/** None: for who has none. */
export const noHooks: HookBook = { mutating: new MatchIndex([]), validating: new MatchIndex([]) };

const none: readonly JsonObject[] = [];

/** Follows the configurations, behind those of files: one that was written holds for the next request (embedded engine). */
export async function keepHooks(
  parts: MirrorParts,
  manifests: ManifestBook,
): Promise<{ readonly hooks: HookBook } & Disposable> {
  using kept = new DisposableStack();

  const staticOf =
    (plugin: string, { resource }: Kind) =>
    (): readonly JsonObject[] =>
      manifests.of(plugin).objects.get(resource) ?? none;
  const ofMutating = new Configurations(staticOf('MutatingAdmissionWebhook', mutatingConfigurations));
  const ofValidating = new Configurations(staticOf('ValidatingAdmissionWebhook', validatingConfigurations));
  kept.use(await follow(parts, mutatingConfigurations, ofMutating));
  kept.use(await follow(parts, validatingConfigurations, ofValidating));
  const owned = kept.move();
  return {
    hooks: {
      get mutating() {
        return ofMutating.index;
      },
      get validating() {
        return ofValidating.index;
      },
    },
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}

function follow(parts: MirrorParts, kind: Kind, configurations: Configurations): Promise<Disposable> {
  return mirrorKind(parts, kind, {
    put: ({ key, object }) =>
      configurations.put(key, { name: stringOf(at(object, 'metadata.name')), hooks: hooksOf(object) }),
    remove: (key) => configurations.put(key, undefined),
  });
}

interface Configuration {
  readonly name: string;
  readonly hooks: readonly Matchable<Hook>[];
}

/** Those of files first; by the alphabet of their names, and in each as they stand there. */
class Configurations {
  readonly #static: () => readonly JsonObject[];
  #usedStatic: readonly JsonObject[] = none;
  readonly #byKey = new Map<string, Configuration>();
  #index: MatchIndex<Hook> | undefined;

  /** @param ofFiles those of files: the same list until another is taken */
  constructor(ofFiles: () => readonly JsonObject[]) {
    this.#static = ofFiles;
  }

  put(key: string, configuration: Configuration | undefined): void {
    if (configuration === undefined) this.#byKey.delete(key);
    else this.#byKey.set(key, configuration);
    this.#index = undefined;
  }

  get index(): MatchIndex<Hook> {
    const ofFiles = this.#static();
    if (ofFiles !== this.#usedStatic) this.#index = undefined;
    this.#usedStatic = ofFiles;
    this.#index ??= new MatchIndex(
      [
        ...ofFiles.flatMap((configuration) => hooksOf(configuration, { isStatic: true })),
        ...[...this.#byKey.values()]
          .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
          .flatMap(({ hooks }) => hooks),
      ].map(({ item, constraints }, position) => ({ item: { ...item, position }, constraints })),
    );
    return this.#index;
  }
}
