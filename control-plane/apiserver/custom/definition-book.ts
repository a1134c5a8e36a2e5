import { customKinds, storageKind, terminatingKind, type FormOf } from '#api/custom/custom-kinds.ts';
import { readDefinition, schemaOf, servingKey, type Definition } from '#api/custom/definition.ts';
import type { UsedNames } from '#api/custom/names-plan.ts';
import { structuralForm, type StructuralForm } from '#api/custom/structural-form.ts';
import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { Mirrored, MirrorSink } from '#control-plane/apiserver/objects/mirror.ts';
import { nameInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import { NameIndex } from './name-index.ts';

interface Known {
  readonly definition: Definition;
  readonly key: string;
  /** What is served of it. */
  readonly kinds: readonly Kind[];
  readonly source: { stored: Mirrored };
}

/**
 * The definitions that there are, and the kinds that they have served: these come to the catalogue and go from it in the store's own turn,
 * before whoever wrote the definition hears of it, so that nobody meets kinds of an old one. Kinds are values of the definition's uid,
 * generation and accepted names; as long as those are the same, so are they, and what else changes (its status) ends nothing.
 */
export class DefinitionBook implements MirrorSink {
  readonly #catalogue: KindCatalogue;
  readonly #known = new Map<string, Known>();
  readonly #names = new NameIndex();
  /** Called with the names of definitions that somebody has to look at. */
  onChange: (name: string) => void = () => {};
  /** Called for what the catalogue has already from elsewhere. */
  onClash: (kind: Kind) => void = () => {};

  constructor(catalogue: KindCatalogue) {
    this.#catalogue = catalogue;
  }

  get(name: string): Definition | undefined {
    return this.#known.get(name)?.definition;
  }

  names(): Iterable<string> {
    return this.#known.keys();
  }

  /** The names that others of its group have. */
  usedBeside(definition: Definition): UsedNames {
    return this.#names.beside(definition);
  }

  /** The kind in whose version its objects are stored, served or not. */
  storageKindOf(name: string): Kind | undefined {
    const known = this.#known.get(name);
    return known && storageKind(known.definition, formsOf(known.source));
  }

  put(stored: Mirrored): void {
    const definition = readDefinition(stored.object);
    const before = this.#known.get(definition.name);
    const key = servingKey(definition);
    const isSame = before?.key === key;
    const source = isSame ? before.source : { stored };
    source.stored = stored;
    const kinds = isSame ? before.kinds : customKinds(definition, formsOf(source));
    const served = definition.isTerminating ? kinds.map(terminatingOnce) : kinds;
    this.#known.set(definition.name, { definition, key, kinds: served, source });
    this.#replace(before?.kinds ?? [], served);
    this.#rename(definition, before?.definition);
    this.onChange(definition.name);
  }

  remove(key: string): void {
    const name = nameInKey(key);
    const before = this.#known.get(name);
    if (before === undefined) return;
    this.#known.delete(name);
    this.#replace(before.kinds, []);
    this.#rename(undefined, before.definition);
    this.onChange(name);
  }

  /** Names that became free are for those who wait for them. */
  #rename(definition: Definition | undefined, before: Definition | undefined): void {
    const isFreed = this.#names.change(before, definition);
    if (!isFreed || before === undefined) return;
    for (const name of this.#names.waitingIn(before.group)) if (name !== before.name) this.onChange(name);
  }

  #replace(before: readonly Kind[], after: readonly Kind[]): void {
    const removed = before.filter((kind) => !after.includes(kind));
    const added = after.filter((kind) => !before.includes(kind) && !this.#isTaken(kind, removed));
    if (removed.length > 0 || added.length > 0) this.#catalogue.change({ removed, added });
  }

  /** Kubernetes' own kinds come first, and so does whose names were accepted first. */
  #isTaken(kind: Kind, removed: readonly Kind[]): boolean {
    const served = this.#catalogue.findVersion(kind.group, kind.version);
    const { resource, kind: name } = kind;
    const others = [served?.byResource.get(resource), served?.byName.get(name)];
    const isTaken = others.some((other) => other !== undefined && !removed.includes(other));
    if (isTaken) this.onClash(kind);
    return isTaken;
  }
}

/** The schemas of a definition, each read when the first object is. */
function formsOf(source: Known['source']): FormOf {
  const forms = new Map<string, StructuralForm>();
  return (version) => {
    let form = forms.get(version);
    if (form === undefined) {
      form = structuralForm(() => schemaOf(source.stored.object, version));
      forms.set(version, form);
    }
    return form;
  };
}

function terminatingOnce(kind: Kind): Kind {
  return kind.verbs.includes('create') ? terminatingKind(kind) : kind;
}
