import type { Definition } from '#api/custom/definition.ts';
import type { UsedNames } from '#api/custom/names-plan.ts';

/** The names of one group, by who has them; two may have the same when they were accepted at the same moment by two servers. */
interface GroupNames {
  readonly resources: Map<string, Set<string>>;
  readonly kinds: Map<string, Set<string>>;
  readonly waiting: Set<string>;
}

/** Which definition has which accepted name, by group: asked without a look at all definitions. */
export class NameIndex {
  readonly #groups = new Map<string, GroupNames>();

  /** The names that others of the definition's group have. */
  beside({ group, name }: Definition): UsedNames {
    const own = this.#groups.get(group);
    const isOthers = (owners: ReadonlySet<string> | undefined): boolean =>
      owners !== undefined && (owners.size > 1 || !owners.has(name));
    return {
      hasResource: (each) => isOthers(own?.resources.get(each)),
      hasKind: (each) => isOthers(own?.kinds.get(each)),
    };
  }

  /** Those that have not got all names that they want. */
  waitingIn(group: string): Iterable<string> {
    return this.#groups.get(group)?.waiting ?? [];
  }

  /** @returns whether a name became free */
  change(before: Definition | undefined, after: Definition | undefined): boolean {
    const isSame = (a: Definition | undefined, b: Definition | undefined): boolean =>
      JSON.stringify(a?.accepted) === JSON.stringify(b?.accepted);
    const isFreed = before !== undefined && !isSame(before, after);
    if (isFreed) this.#drop(before);
    if (after !== undefined) this.#add(after);
    return isFreed;
  }

  #add(definition: Definition): void {
    const { group, name, accepted, conditions } = definition;
    let own = this.#groups.get(group);
    if (own === undefined) {
      own = { resources: new Map(), kinds: new Map(), waiting: new Set() };
      this.#groups.set(group, own);
    }
    for (const each of [accepted.plural, accepted.singular, ...accepted.shortNames])
      addOwner(own.resources, each, name);
    for (const each of [accepted.kind, accepted.listKind]) addOwner(own.kinds, each, name);
    const waits = conditions.some(({ type, status }) => type === 'NamesAccepted' && status === 'False');
    if (waits) own.waiting.add(name);
    else own.waiting.delete(name);
  }

  #drop({ group, name, accepted }: Definition): void {
    const own = this.#groups.get(group);
    if (own === undefined) return;
    for (const each of [accepted.plural, accepted.singular, ...accepted.shortNames])
      dropOwner(own.resources, each, name);
    for (const each of [accepted.kind, accepted.listKind]) dropOwner(own.kinds, each, name);
    own.waiting.delete(name);
    if (own.resources.size + own.kinds.size + own.waiting.size === 0) this.#groups.delete(group);
  }
}

function addOwner(map: Map<string, Set<string>>, name: string, owner: string): void {
  if (name === '') return;
  const owners = map.get(name);
  if (owners === undefined) map.set(name, new Set([owner]));
  else owners.add(owner);
}

function dropOwner(map: Map<string, Set<string>>, name: string, owner: string): void {
  const owners = map.get(name);
  if (owners?.delete(owner) === true && owners.size === 0) map.delete(name);
}
