import { columnFacts } from '#api/facts/facts.ts';
import { at } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf } from './object.ts';

/** A column of a Table (meta.v1.TableColumnDefinition); priority 1 shows with `-o wide` only. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

/** A row of a Table; the caller adds `object`. */
export interface TableRow {
  readonly cells: readonly unknown[];
  readonly conditions?: readonly JsonObject[];
}

/** The columns of a kind's Table; a kind without a printer of its own has Name and Created At. */
export function tableColumns(
  kind: Pick<Kind, 'group' | 'version' | 'resource' | 'custom'>,
): readonly TableColumn[] {
  if (kind.custom !== undefined) return kind.custom.columns;
  const path = `${kind.group === '' ? '' : kind.group}/${kind.version}/${kind.resource}`;
  const columns = columnFacts().columns[path] ?? [
    ['Name', 'string', 0],
    ['Created At', 'date', 0],
  ];
  return columns.map(([name, type, priority, format]) => ({
    name,
    type,
    format: format ?? (name === 'Name' ? 'name' : ''),
    description: '',
    priority,
  }));
}

/** The cells (and conditions) of one object; `now` is in milliseconds since the epoch. */
export function tableRow(
  kind: Pick<Kind, 'group' | 'version' | 'kind' | 'resource' | 'custom'>,
  object: JsonObject,
  now: number,
): TableRow {
  const rules = rulesOf(kind);
  const cells = rules.cells?.(object, now) ?? plainCells(kind, object, now);
  const conditions = rules.rowConditions?.(object);
  const isCustom = kind.custom !== undefined; // Whose cells may be null.
  return {
    cells: isCustom ? cells : cells.map((cell) => cell ?? ''),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

/** A kind without a printer: its name, then its age, or its timestamp where the column is a date. */
function plainCells(
  kind: Pick<Kind, 'group' | 'version' | 'resource' | 'custom'>,
  object: JsonObject,
  now: number,
): readonly unknown[] {
  return tableColumns(kind).map(({ name, type }) => {
    if (name === 'Name') return nameOf(object);
    if (type === 'date') return at(object, 'metadata.creationTimestamp');
    return name === 'Age' ? ageOfObject(object, now) : '';
  });
}
