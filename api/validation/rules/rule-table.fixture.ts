import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { admitCreate } from '#api/pod/admission.ts';
import { builtInTypeName, builtInTypes } from '#api/schema/built-in-types.ts';
import {
  findKindByName,
  formatGroupVersion,
  kindOfSubresource,
  kinds,
  type Kind,
} from '#api/schema/kinds.ts';
import { containerOf } from '#api/schema/type-source.ts';
import { serviceNeeds, withServiceAllocation } from '#api/service/allocation.ts';
import { settleFamilies } from '#api/service/families.ts';
import { prepareCreate, prepareUpdate } from '#api/strategy/strategy.ts';
import { validateCreate, validateUpdate } from '#api/validation/validation.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { at, isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';

/** What is different from the table's base object: path (`spec.limits[0].max[cpu]`) to value; undefined takes it away. */
export type Edits = Readonly<Record<string, unknown>>;

/** One rule about one field. */
export interface RuleRow {
  /** The field by the schema, without places in lists: `spec.limits.type`. */
  readonly field: string;
  readonly rule: string;
  /** The rule is about updates: what was there before. */
  readonly from?: Edits;
  /** The rule is about writes to this subresource. */
  readonly subresource?: string;
  /** What the rule lets pass; the base object without. */
  readonly passes?: Edits;
  readonly fails: Edits;
  /** All that is answered then, in order; what ends in `…` is how it begins. */
  readonly message: string | readonly string[];
}

/** The rules of one kind (kubernetes 1.36 pkg/apis/GROUP/validation, and the enums of its OpenAPI). */
export interface RuleTable {
  readonly apiVersion: string;
  readonly kind: string;
  /** An object to which none of the rules objects. */
  readonly base: JsonObject;
  readonly rows: readonly RuleRow[];
  /** Why fields have no rule of their own: reason to fields; `spec.template.*` is all below. */
  readonly none?: Readonly<Record<string, readonly string[]>>;
  /** What upstream asks of fields beside the rules, and we do not: reason to fields. */
  readonly lacks?: Readonly<Record<string, readonly string[]>>;
  /** Where objects of other kinds are within, whose rules hold there. */
  readonly parts?: readonly TablePart[];
}

/** The spec of another kind within objects of this one. */
export interface TablePart {
  readonly of: RuleTable;
  /** Where its `spec` is: `spec.template.spec`. */
  readonly at: string;
  /** What is there beside the spec of the other's base. */
  readonly beside?: Edits;
  /** What of the other does not hold here: reason to fields, or `field: rule`. */
  readonly not?: Readonly<Record<string, readonly string[]>>;
  /** What is asked of what is around that spec. */
  readonly rows?: readonly RuleRow[];
}

/** The kind that a table is about; of a subresource's objects as well. */
export function kindOf({
  apiVersion,
  kind,
}: {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
}): Kind {
  const found =
    findKindByName(String(apiVersion), String(kind)) ??
    kinds
      .flatMap((owner) => owner.subresources.map((sub) => kindOfSubresource(owner, sub)))
      .find((posted) => formatGroupVersion(posted) === apiVersion && posted.kind === kind);
  if (found === undefined) throw new Error(`no kind ${String(apiVersion)} ${String(kind)}`);
  return found;
}

/** The object as it would be stored, before it is validated. */
export function created(object: JsonObject): JsonObject {
  const kind = kindOf(object);
  const admitted = admitCreate(kind, applyDefaults(kind, decodeObject(kind, object).object));
  const given = stringOf(at(object, 'metadata.namespace')) || 'default';
  const namespace = kind.namespaced ? given : undefined;
  const prepared = prepareCreate(kind, admitted, { now: 0, uid: 'u', namespace });
  const settled = kind.kind === 'Service' ? settleFamilies(prepared, undefined, [4]).service : prepared;
  return kind.kind === 'Service' && serviceNeeds(settled).clusterIps.length > 0
    ? withServiceAllocation(settled, { clusterIps: ['10.96.0.1'] })
    : prepared;
}

/** The rules that the kinds within have, as rows about this one: those about objects that are made, whatever they are called. */
export function rowsWithin(table: RuleTable): readonly RuleRow[] {
  return (table.parts ?? []).flatMap((part) => {
    const not = Object.values(part.not ?? {}).flat();
    const isNot = ({ field, rule }: RuleRow): boolean =>
      not.some((named) => named === `${field}: ${rule}` || covers(named, field));
    const around = part.rows ?? [];
    const all = { [part.at]: part.of.base['spec'], ...part.beside };
    const within = [...part.of.rows, ...rowsWithin(part.of)]
      .filter((row) => isWithinSpec(row) && !isNot(row))
      .map((row) => ({
        field: fieldOf(row.field, part),
        rule: row.rule,
        passes: { ...all, ...placedEdits(row.passes ?? {}, part) },
        fails: { ...all, ...placedEdits(row.fails, part) },
        message: [row.message].flat().map((message) => placed(message, part)),
      }));
    return [...around, ...within];
  });
}

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith('.*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}

function isWithinSpec({ field, from, subresource, passes = {}, fails }: RuleRow): boolean {
  const paths = [field, ...Object.keys(passes), ...Object.keys(fails)];
  return from === undefined && subresource === undefined && paths.every((path) => /^spec\b/.test(path));
}

/** What is about `spec` there is about the place of the part here. */
function placed(text: string, { at: place }: TablePart): string {
  return text.replace(/^spec\b/, () => place);
}

function fieldOf(field: string, part: TablePart): string {
  return placed(field, part).replaceAll(/\[\d+\]/g, '');
}

function placedEdits(edits: Edits, part: TablePart): Edits {
  return Object.fromEntries(Object.entries(edits).map(([path, value]) => [placed(path, part), value]));
}

/** What is said of an object of the table that is made, or changed if the row says from what. */
export function answersTo(table: RuleTable, row: RuleRow, edits: Edits): readonly string[] {
  const { apiVersion, kind: name, base } = table;
  const object = edited({ apiVersion, kind: name, metadata: { name: 'x' }, ...base }, edits);
  const kind = kindOf(table);
  const { isStored, validate } = rulesOf(kind);
  const isPosted = findKindByName(apiVersion, name) === undefined;
  if (isStored === false || isPosted) return rendered(validate?.(decodeObject(kind, object).object) ?? []);
  if (row.from === undefined) return rendered(validateCreate(kind, created(object)));
  const made = created(edited({ apiVersion, kind: name, metadata: { name: 'x' }, ...base }, row.from));
  const status = Object.entries(row.from).filter(([path]) => path.startsWith('status'));
  // A status is not made with an object.
  const old = edited(made, Object.fromEntries(status));
  const kept = edited(old, edits);
  const decoded = applyDefaults(kind, decodeObject(kind, kept).object);
  const next = prepareUpdate(kind, old, decoded, row.subresource);
  const said = rendered(validateUpdate(kind, old, next, row.subresource));
  // What is wrong with metadata is said several times of an update (update-checks.test.ts).
  return said.filter((text, index) => !text.startsWith('metadata.') || said.indexOf(text) === index);
}

/** `spec.type: Unsupported value: "X"…`, one by one. */
export function rendered(errors: readonly FieldError[]): readonly string[] {
  return errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
}

/** A copy with the edits made, in order. */
export function edited(object: JsonObject, edits: Edits): JsonObject {
  return Object.entries(edits).reduce<JsonObject>(
    (next, [path, value]) => objectOf(withEdit(next, stepsOf(path), value)),
    object,
  );
}

function stepsOf(path: string): readonly string[] {
  return [...path.matchAll(/\[([^\]]+)\]|([^.[\]]+)/g)].map(([, key, name]) => key ?? name ?? '');
}

function withEdit(value: unknown, [head, ...rest]: readonly string[], next: unknown): unknown {
  if (head === undefined) return next;
  if (Array.isArray(value) || (value === undefined && /^\d+$/.test(head))) {
    const items = [...listOf(value)];
    items[Number(head)] = withEdit(items[Number(head)], rest, next);
    return items;
  }
  const object = isObject(value) ? value : {};
  const { [head]: old, ...others } = object;
  const made = withEdit(old, rest, next);
  return made === undefined ? others : { ...object, [head]: made };
}

/** A field of a kind that holds no struct: its path, and whether it can only be true or false. */
export interface LeafField {
  readonly path: string;
  readonly isFlag: boolean;
}

/** All fields of a kind but metadata and status; a type within itself is walked once. */
export function leafFields(kind: Kind): readonly LeafField[] {
  const name = builtInTypeName(kind) ?? '';
  const fields = [...(builtInTypes.find(name)?.fields ?? [])];
  return fields
    .filter(([field]) => !['apiVersion', 'kind', 'metadata', 'status'].includes(field))
    .flatMap(([field, { type }]) => leavesBelow(field, type, [name]));
}

function leavesBelow(path: string, type: string, within: readonly string[]): readonly LeafField[] {
  const { item } = containerOf(type);
  const fields = builtInTypes.find(item)?.fields;
  if (fields === undefined) return [{ path, isFlag: item === 'bool' }];
  if (within.includes(item)) return [];
  return [...fields].flatMap(([field, below]) =>
    leavesBelow(`${path}.${field}`, below.type, [...within, item]),
  );
}

/** How much of a kind its table is about. */
export interface Coverage {
  readonly rules: number;
  readonly fields: number;
  readonly ruled: readonly string[];
  readonly none: readonly string[];
  /** Fields that have neither. */
  readonly open: readonly string[];
  /** What the table names although the kind has no such field. */
  readonly strange: readonly string[];
}

/** Fields without a rule, also those of the kinds within: what only a change of those is asked for has none here. */
function noneOf(table: RuleTable): readonly string[] {
  const within = (table.parts ?? []).flatMap((part) => {
    const changing = part.of.rows.filter((row) => !isWithinSpec(row)).map(({ field }) => field);
    const not = Object.values(part.not ?? {}).flat();
    return [...not.map((named) => named.replace(/: .*/, '')), ...changing, ...noneOf(part.of)]
      .filter((field) => /^spec\b/.test(field))
      .map((field) => fieldOf(field, part));
  });
  return [...Object.values(table.none ?? {}).flat(), ...within];
}

/** Compares a table with the schema of its kind. */
export function coverageOf(table: RuleTable): Coverage {
  const leaves = leafFields(kindOf(table));
  const rows = [...table.rows, ...rowsWithin(table)];
  const ruled = new Set(rows.map(({ field }) => field));
  const without = noneOf(table);
  const lacking = Object.values(table.lacks ?? {}).flat();
  const isNone = ({ path, isFlag }: LeafField): boolean =>
    isFlag || without.some((pattern) => covers(pattern, path));
  const paths = leaves.map(({ path }) => path);
  const isKnown = (named: string): boolean =>
    /^(metadata|status)\b/.test(named) ||
    paths.some((path) => covers(named, path) || path.startsWith(`${named}.`));
  const rest = leaves.filter(({ path }) => !ruled.has(path));
  return {
    rules: rows.length,
    fields: leaves.length,
    ruled: paths.filter((path) => ruled.has(path)),
    none: rest.filter(isNone).map(({ path }) => path),
    open: rest.filter((leaf) => !isNone(leaf)).map(({ path }) => path),
    strange: [...ruled, ...without, ...lacking].filter((named) => !isKnown(named)),
  };
}
