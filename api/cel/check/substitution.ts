import { types, type CelType } from './cel-type.ts';

/** What letters stand for so far, in one check of one expression; each use of a signature has letters of its own. */
export class Substitution {
  readonly #known = new Map<string, CelType>();
  #count = 0;

  /** A letter that stands for nothing yet. */
  fresh(): CelType {
    return { kind: 'param', name: `_var${this.#count++}` };
  }

  /** The signature's types with letters of their own. */
  instantiate(signature: readonly CelType[]): readonly CelType[] {
    const letters = new Map<string, CelType>();
    const own = (type: CelType): CelType =>
      mapType(type, (name) => {
        const known = letters.get(name) ?? this.fresh();
        letters.set(name, known);
        return known;
      });
    return signature.map(own);
  }

  /** The type with all letters replaced that are known; those that are not are dyn. */
  resolve(type: CelType): CelType {
    return mapType(this.peel(type), (name) => {
      const known = this.#known.get(name);
      return known === undefined ? types.dyn : this.resolve(known);
    });
  }

  /** The type itself, not those within. */
  peel(type: CelType): CelType {
    let peeled = type;
    while (peeled.kind === 'param') {
      const known = this.#known.get(peeled.name);
      if (known === undefined) return peeled;
      peeled = known;
    }
    return peeled;
  }

  /** Whether a value of the one type may be used as one of the other; what letters come to by that is remembered only then. */
  assign(given: CelType, wanted: CelType): boolean {
    return this.assignAll([given], [wanted]);
  }

  assignAll(given: readonly CelType[], wanted: readonly CelType[]): boolean {
    if (given.length !== wanted.length) return false;
    const before = new Map(this.#known);
    const isDone = given.every((type, index) => this.#unify(type, wanted[index] ?? types.error));
    if (!isDone) {
      this.#known.clear();
      for (const [name, type] of before) this.#known.set(name, type);
    }
    return isDone;
  }

  #unify(one: CelType, other: CelType): boolean {
    const [a, b] = [this.peel(one), this.peel(other)];
    if (a.kind === 'param' || b.kind === 'param') return this.#bind(a, b);
    if (isAnything(a) || isAnything(b)) return true;
    if (a.kind === 'null') return b.kind === 'null' || isNullable(b);
    if (b.kind === 'null') return isNullable(a);
    if (a.kind !== b.kind) return false;
    if (a.kind === 'list' && b.kind === 'list') return this.#unify(a.element, b.element);
    if (a.kind === 'map' && b.kind === 'map')
      return this.#unify(a.key, b.key) && this.#unify(a.value, b.value);
    if (a.kind === 'object' && b.kind === 'object') return a.name === b.name;
    if (a.kind === 'opaque' && b.kind === 'opaque') {
      return (
        a.name === b.name &&
        a.params.every((param, index) => this.#unify(param, b.params[index] ?? types.error))
      );
    }
    return true;
  }

  #bind(a: CelType, b: CelType): boolean {
    if (a.kind === 'param' && b.kind === 'param' && a.name === b.name) return true;
    const [letter, type] = a.kind === 'param' ? [a, b] : [b, a];
    if (letter.kind !== 'param' || this.#occurs(letter.name, type)) return false;
    this.#known.set(letter.name, type);
    return true;
  }

  #occurs(name: string, type: CelType): boolean {
    let isWithin = false;
    mapType(this.peel(type), (inner) => {
      const known = this.#known.get(inner);
      if (inner === name || (known !== undefined && this.#occurs(name, known))) isWithin = true;
      return types.dyn;
    });
    return isWithin;
  }
}

function mapType(type: CelType, replace: (letter: string) => CelType): CelType {
  switch (type.kind) {
    case 'param':
      return replace(type.name);
    case 'list':
      return { ...type, element: mapType(type.element, replace) };
    case 'map':
      return { kind: 'map', key: mapType(type.key, replace), value: mapType(type.value, replace) };
    case 'type':
      return { kind: 'type', of: mapType(type.of, replace) };
    case 'opaque':
      return { ...type, params: type.params.map((param) => mapType(param, replace)) };
    default:
      return type;
  }
}

function isAnything({ kind }: CelType): boolean {
  return kind === 'dyn' || kind === 'error';
}

/** Messages, times and types of libraries may be null. */
function isNullable({ kind }: CelType): boolean {
  return kind === 'object' || kind === 'opaque' || kind === 'timestamp' || kind === 'duration';
}
