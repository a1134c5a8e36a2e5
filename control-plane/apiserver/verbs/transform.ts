import { at, objectOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tableColumns, tableRow } from '#api/table/table.ts';
import { badRequest, customNotAcceptable, notAcceptableAs } from '#api/errors/status.ts';
import { negotiate, type Representation } from '#control-plane/apiserver/serve/negotiate.ts';

/** Another shape in which objects can be asked for (`as=` in Accept). */
export type Transform =
  | { readonly kind: 'table'; readonly apiVersion: string; readonly include: (typeof inclusions)[number] }
  | { readonly kind: 'partial'; readonly apiVersion: string };

/** The transforms of an object and of a list or watch. */
export const transformNames: readonly string[] = [
  'Table',
  'PartialObjectMetadata',
  'PartialObjectMetadataList',
].flatMap((name) => [`${name}.v1.meta.k8s.io`, `${name}.v1beta1.meta.k8s.io`]);

/**
 * What a client wants to see of objects of the kind.
 * @throws {E_API} 406 where there is nothing that it takes: of custom objects no protobuf, which others answer with JSON
 */
export function negotiateObjects(kind: Kind, accept: string | undefined): Representation {
  if (kind.custom === undefined) return negotiate(accept, transformNames);
  const isText = (accept ?? '*/*').split(',').some((clause) => textType.test(clause));
  if (!isText) throw customNotAcceptable();
  return negotiate(accept, transformNames);
}

/** A clause of Accept that text can answer, or that asks for a transform. */
const textType = /^\s*(?:application\/(?:json|yaml|\*)|\*\/\*)|;\s*as=|^\s*$/i;

/** How much of an object each row of a Table has (TableOptions.includeObject). */
const inclusions = ['Metadata', 'Object', 'None'] as const;

/** @throws {E_API} 400 for rows that nobody knows */
function inclusionOf(query: URLSearchParams): (typeof inclusions)[number] {
  const asked = query.get('includeObject') ?? '';
  const known = asked === '' ? 'Metadata' : inclusions.find((each) => each === asked);
  if (known !== undefined) return known;
  const detail = `includeObject: Invalid value: ${JSON.stringify(asked)}: must be 'Metadata', 'Object', 'None', or empty`;
  throw badRequest(`Unable to convert to Table as requested: ${detail}`);
}

/** What is to be shown: the name of its type in Go, by which messages call it. */
export interface Shown {
  readonly goType: string;
  readonly isList: boolean;
}

export function oneOf(kind: Kind): Shown {
  return { goType: goTypeOf(kind, ''), isList: false };
}

export function listOf(kind: Kind): Shown {
  return { goType: goTypeOf(kind, 'List'), isList: true };
}

function goTypeOf(kind: Kind, suffix: string): string {
  if (kind.custom !== undefined) return `*unstructured.Unstructured${suffix}`;
  return `*${kind.group === '' ? 'core' : kind.group.split('.')[0]}.${kind.kind}${suffix}`;
}

/** @throws {E_API} 406 for one that is no list where one is asked for, and the reverse */
function checkShown(as: string, { goType, isList }: Shown): void {
  if (as.endsWith('List') === isList) return;
  const found = isList ? 'a list' : 'not a list';
  throw notAcceptableAs(`you requested ${as}, but the requested object is ${found} (${goType})`);
}

/** @throws {E_API} 400, 406 */
export function transformOf(
  representation: Representation,
  query: URLSearchParams,
  shown: Shown | undefined,
): Transform | undefined {
  const apiVersion = `meta.k8s.io/${representation.version === 'v1beta1' ? 'v1beta1' : 'v1'}`;
  switch (representation.as) {
    case 'Table':
      return { kind: 'table', apiVersion, include: inclusionOf(query) };
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      if (shown !== undefined) checkShown(representation.as, shown);
      return { kind: 'partial', apiVersion };
    default:
      return undefined;
  }
}

export interface TableOptions {
  readonly kind: Kind;
  readonly transform: Extract<Transform, { kind: 'table' }>;
  readonly nowMs: number;
}

/** One row of a Table, with the object as far as it is asked for. */
export function renderRow(options: TableOptions, object: JsonObject): JsonObject {
  const { kind, transform, nowMs } = options;
  const row = tableRow(kind, object, nowMs);
  const { conditions } = row;
  return {
    cells: row.cells,
    ...(conditions === undefined || conditions.length === 0 ? {} : { conditions }),
    object: included(transform, object),
  };
}

function included(transform: TableOptions['transform'], object: JsonObject): JsonObject | null {
  switch (transform.include) {
    case 'None':
      return null;
    case 'Object':
      return object;
    case 'Metadata':
      return renderPartial(transform, object);
    default:
      return null;
  }
}

/** A Table; `columns` false leaves the definitions out, as later events of a watch do. */
export function renderTable(
  options: TableOptions,
  metadata: JsonObject,
  rows: readonly JsonObject[],
  columns = true,
): JsonObject {
  const columnDefinitions = columns ? tableColumns(options.kind) : null;
  return { kind: 'Table', apiVersion: options.transform.apiVersion, metadata, columnDefinitions, rows };
}

/** The object with nothing but its metadata. */
export function renderPartial(transform: Transform, object: JsonObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: transform.apiVersion,
    metadata: objectOf(object['metadata']),
  };
}

/** One object as the transform shows it. */
export function transformObject(
  kind: Kind,
  transform: Transform,
  object: JsonObject,
  nowMs: number,
): JsonObject {
  if (transform.kind === 'partial') return renderPartial(transform, object);
  const options = { kind, transform, nowMs };
  const resourceVersion = at(object, 'metadata.resourceVersion');
  return renderTable(options, { resourceVersion }, [renderRow(options, object)]);
}
