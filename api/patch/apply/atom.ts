import {
  containerOf,
  type MergeRule,
  type SchemaField,
  type SchemaType,
  type TypeRef,
  type TypeSource,
} from '#api/schema/type-source.ts';

/**
 * What a value may be, and how it merges (structured-merge-diff, schema.Atom). Most have one member; what has no type of its own has
 * all three, and goes by the value that is there.
 */
export interface Atom {
  readonly map?: MapAtom;
  readonly list?: ListAtom;
  readonly scalar?: ScalarType;
}

export type ScalarType = 'string' | 'numeric' | 'boolean' | 'untyped';

export interface MapAtom {
  /** Set and owned as a whole. */
  readonly isAtomic: boolean;
  /** What the field of a struct is; undefined for a member that no field names. */
  readonly field: (name: string) => Atom | undefined;
  /** What other members are; undefined: there are none. */
  readonly rest: Atom | undefined;
  /** Free-form: no schema says what may become atomic in it. */
  readonly isDeduced?: true;
}

export interface ListAtom {
  readonly relation: 'atomic' | 'set' | 'keyed';
  readonly item: Atom;
  /** The fields that tell items from each other, by their names; those that an item lacks may have a default. */
  readonly keys: readonly ListKey[];
}

/** A field that tells items of a list from each other. */
export interface ListKey {
  readonly name: string;
  /** Its name as a member of JSON, with the colon. */
  readonly member: string;
  readonly default: unknown;
}

/** JSON that is set and owned as a whole, if it is no scalar. */
const untyped: Atom = {
  scalar: 'untyped',
  get list(): ListAtom {
    return { relation: 'atomic', item: untyped, keys: [] };
  },
  get map(): MapAtom {
    return wholeMap;
  },
};

/** JSON without a schema: maps merge member by member, lists are wholes. */
export const deduced: Atom = {
  scalar: 'untyped',
  list: { relation: 'atomic', item: untyped, keys: [] },
  get map(): MapAtom {
    return deducedMap;
  },
};

const wholeMap: MapAtom = { isAtomic: true, field: () => undefined, rest: untyped };

const deducedMap: MapAtom = { isAtomic: false, field: () => undefined, rest: deduced, isDeduced: true };

/** The member that a value is of the atom's; of null and of what is none of them, the whole atom. */
export function atomFor(atom: Atom, value: unknown): Atom {
  if (value === undefined || value === null) return atom;
  if (Array.isArray(value)) return atom.list === undefined ? atom : onlyList(atom);
  if (typeof value === 'object') return atom.map === undefined ? atom : onlyMap(atom);
  return atom.scalar === undefined ? atom : onlyScalar(atom);
}

function onlyList(atom: Atom): Atom {
  return atom.map === undefined && atom.scalar === undefined ? atom : partsOf(atom).list;
}

function onlyMap(atom: Atom): Atom {
  return atom.list === undefined && atom.scalar === undefined ? atom : partsOf(atom).map;
}

function onlyScalar(atom: Atom): Atom {
  return atom.map === undefined && atom.list === undefined ? atom : partsOf(atom).scalar;
}

interface AtomParts {
  readonly list: Atom;
  readonly map: Atom;
  readonly scalar: Atom;
}

const parts = new WeakMap<Atom, AtomParts>();

function partsOf(atom: Atom): AtomParts {
  let known = parts.get(atom);
  if (known === undefined) {
    const { list, map, scalar } = atom;
    known = {
      list: list === undefined ? {} : { list },
      map: map === undefined ? {} : { map },
      scalar: scalar === undefined ? {} : { scalar },
    };
    parts.set(atom, known);
  }
  return known;
}

/** Atoms by what they are of, of one source: types are values, and asked for often. */
const scopes = new WeakMap<TypeSource, Map<string, Atom>>();

/** What an object of the type is. Where nothing is known of the type, it is deduced from what is there. */
export function atomOf({ schema, typeName }: TypeRef): Atom {
  return typeName === '' ? deduced : expressionAtom(schema, typeName, undefined);
}

function expressionAtom(source: TypeSource, expression: string, rule: MergeRule | undefined): Atom {
  let atoms = scopes.get(source);
  if (atoms === undefined) scopes.set(source, (atoms = new Map()));
  const id = `${expression} ${rule?.lt ?? ''} ${rule?.lk?.join() ?? ''} ${rule?.mt ?? ''}`;
  let atom = atoms.get(id);
  if (atom === undefined) atoms.set(id, (atom = makeAtom(source, expression, rule)));
  return atom;
}

function makeAtom(source: TypeSource, expression: string, rule: MergeRule | undefined): Atom {
  const { shape, item } = containerOf(expression);
  if (shape === 'list') return { list: makeList(source, item, rule) };
  if (shape === 'map') return { map: makeMap(source, item, rule) };
  const free = freeForms.get(expression);
  if (free !== undefined)
    return rule?.mt === 'atomic' && free.map !== undefined ? { ...free, map: wholeMap } : free;
  const type = source.find(expression);
  if (type === undefined) return scalars.get(expression) ?? deduced;
  if (type.fields !== undefined) return { map: makeStruct(source, type, rule) };
  return type.alias === undefined ? untyped : expressionAtom(source, type.alias, rule ?? type.merge);
}

const scalars: ReadonlyMap<string, Atom> = new Map<string, Atom>([
  ...['string', 'bytes', 'time', 'microtime'].map((name) => [name, { scalar: 'string' }] as const),
  ...['int32', 'int64', 'double'].map((name) => [name, { scalar: 'numeric' }] as const),
  ...['quantity', 'intstr'].map((name) => [name, { scalar: 'untyped' }] as const),
  ['bool', { scalar: 'boolean' }],
]);

const freeForms: ReadonlyMap<string, Atom> = new Map<string, Atom>([
  ['json', untyped],
  ['any', deduced],
  ...['raw', 'object', 'fieldsv1'].map((name) => [name, { map: deducedMap }] as const),
]);

function makeList(source: TypeSource, item: string, rule: MergeRule | undefined): ListAtom {
  const relation = rule?.lt === 'map' ? 'keyed' : (rule?.lt ?? 'atomic');
  let itemAtom: Atom | undefined; // Made on first use, for types contain themselves.
  return {
    relation,
    get item() {
      return (itemAtom ??= expressionAtom(source, item, undefined));
    },
    keys: relation === 'keyed' ? (rule?.lk ?? []).toSorted().map((name) => keyOf(source, item, name)) : [],
  };
}

function keyOf(source: TypeSource, item: string, name: string): ListKey {
  const type = source.find(item);
  const field = type?.fields?.get(name);
  return {
    name,
    member: `${JSON.stringify(name)}:`,
    default: field?.default ?? zeroOf(source, type, { name, field }),
  };
}

/** The schema of Kubernetes says of what is required and no pointer that its default is zero: an item without it has that key. */
function zeroOf(
  source: TypeSource,
  type: SchemaType | undefined,
  { name, field }: { readonly name: string; readonly field: SchemaField | undefined },
): unknown {
  if (source.fillsDefaults || field === undefined || type?.required.includes(name) !== true) return undefined;
  const { scalar } = scalars.get(field.type) ?? {};
  return scalar === 'numeric' ? 0 : scalar === 'string' ? '' : undefined;
}

function makeMap(source: TypeSource, item: string, rule: MergeRule | undefined): MapAtom {
  let rest: Atom | undefined;
  return {
    isAtomic: rule?.mt === 'atomic',
    field: () => undefined,
    get rest() {
      return (rest ??= expressionAtom(source, item, undefined));
    },
  };
}

function makeStruct(source: TypeSource, type: SchemaType, rule: MergeRule | undefined): MapAtom {
  const fields = new Map<string, Atom>();
  return {
    isAtomic: (rule?.mt ?? type.merge?.mt) === 'atomic',
    field: (name) => {
      const known = fields.get(name);
      if (known !== undefined) return known;
      const field = type.fields?.get(name);
      if (field === undefined) return undefined;
      const made = expressionAtom(source, field.type, field.merge);
      fields.set(name, made);
      return made;
    },
    rest: type.isOpen === true ? deduced : undefined,
  };
}
