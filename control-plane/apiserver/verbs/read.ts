import { at, objectOf } from '#api/wire/json.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { expired, notFound, statusError, tooLargeResourceVersion } from '#api/errors/status.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { RangeResult, StoredValue } from '#control-plane/store/store.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { parseListOptions, parseResourceVersion, selects, type ListOptions } from './list-options.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import {
  addedBytesMax,
  bareShape,
  partialShape,
  Shown,
  typedShape,
} from '#control-plane/apiserver/objects/object-bytes.ts';
import { reading } from '#control-plane/apiserver/objects/store-answer.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import {
  bytesResponse,
  objectResponse,
  piecesResponse,
  streamedResponse,
  styleOf,
  type BoundedPieces,
} from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { TimeSlice } from '#control-plane/apiserver/serve/time-slice.ts';
import {
  renderRow,
  renderTable,
  transformNames,
  transformObject,
  transformOf,
  type Transform,
} from './transform.ts';

const pieceBytes = 262_144;
/** From so many bytes on, what is stored is sent as it is: who waits for it costs no copy. */
const largeItemBytes = 65_536;
/** A comma, or the end: what may follow an item in its piece. */
const betweenBytes = 2;

/** GET of one object. */
export async function getObject(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const representation = negotiate(request.headers['accept'], transformNames);
  const entry = await context.registry.read(kind, namespace, name);
  if (entry === undefined) throw notFound(kind, name);
  const style = styleOf(request, representation);
  const transform = transformOf(representation, request.query);
  if (transform !== undefined) {
    return objectResponse(200, transformObject(kind, transform, entry.object, context.clock.now()), style);
  }
  const shown = new Shown(typedShape(kind), context.registry.storedOf(kind, entry.value));
  if (shown.byteLength < largeItemBytes) return bytesResponse(200, shown.toBytes(), style);
  return piecesResponse(shown.pieces(), style);
}

interface Page {
  readonly values: readonly StoredValue[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

/** GET of a collection. */
export async function listObjects(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind } = route;
  const representation = negotiate(request.headers['accept'], transformNames);
  const options = parseListOptions(route, request.query);
  const page = await readPage(context, route, options);
  const transform = transformOf(representation, request.query);
  const style = styleOf(request, representation);
  if (transform?.kind === 'table') return listTable(context, { kind, transform, page }, style);
  const shape = transform === undefined ? bareShape : partialShape(transform.apiVersion);
  const shown = function* (): Generator<Shown, void> {
    for (const value of page.values) yield new Shown(shape, context.registry.storedOf(kind, value));
  };
  const added = addedBytesMax(shape);
  const bytesMax = page.values.reduce(
    (sum, value) => sum + context.registry.storedOf(kind, value).value.byteLength + added,
    0,
  );
  return streamedResponse(joinItems(listHead(kind, transform, page.metadata), shown(), bytesMax), style);
}

async function listTable(
  context: ServerContext,
  list: {
    readonly kind: Kind;
    readonly transform: Extract<Transform, { kind: 'table' }>;
    readonly page: Page;
  },
  style: { readonly format: 'json' | 'yaml'; readonly pretty: boolean },
): Promise<ApiResponse> {
  const { kind, transform, page } = list;
  const table = { kind, transform, nowMs: context.clock.now() };
  const empty = JSON.stringify(renderTable(table, page.metadata, []));
  const rows: Row[] = [];
  const slice = new TimeSlice();
  for (const value of page.values) {
    rows.push(new Row(renderRow(table, context.registry.objectOf(kind, value))));
    if (slice.isOver()) await slice.next();
  }
  const bytes = rows.reduce((sum, { byteLength }) => sum + byteLength + 1, 0);
  return streamedResponse(joinItems(empty.slice(0, -listEnd.length), rows, bytes), style);
}

function listHead(kind: Kind, transform: Transform | undefined, metadata: Page['metadata']): string {
  const listKind = transform === undefined ? `${kind.kind}List` : 'PartialObjectMetadataList';
  const apiVersion = transform === undefined ? formatGroupVersion(kind) : transform.apiVersion;
  return `${JSON.stringify({ kind: listKind, apiVersion, metadata }).slice(0, -1)},"items":[`;
}

const comma = 0x2c;
const listEnd = Buffer.from(']}');

/** What a list has of each object. */
interface Item {
  readonly byteLength: number;
  /** @returns the place behind it */
  copyTo(out: Buffer, at: number): number;
  /** The same, not copied. */
  pieces(): readonly Uint8Array[];
}

/** A row of a table. */
class Row implements Item {
  readonly #bytes: Buffer;

  constructor(row: object) {
    this.#bytes = Buffer.from(JSON.stringify(row));
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  copyTo(out: Buffer, at: number): number {
    return at + this.#bytes.copy(out, at);
  }

  pieces(): readonly Uint8Array[] {
    return [this.#bytes];
  }
}

/** Head, items between commas and `]}`; `bytesMax`: of the items and their commas, at most. */
function joinItems(head: string, items: Iterable<Item>, bytesMax: number): BoundedPieces {
  const start = Buffer.from(head);
  const allMax = start.length + bytesMax + listEnd.length;
  return { bytesMax: allMax, pieces: join(start, items, Math.min(allMax, pieceBytes)) };
}

/** In pieces of about `size` bytes, to send at once; a large item is not copied. */
function* join(head: Buffer, items: Iterable<Item>, size: number): Generator<Uint8Array, void> {
  let piece = Buffer.allocUnsafe(Math.max(size, head.length + betweenBytes));
  let at = head.copy(piece);
  let isFirst = true;
  for (const item of items) {
    if (!isFirst) piece[at++] = comma;
    isFirst = false;
    const isLarge = item.byteLength >= largeItemBytes;
    if (isLarge || at + item.byteLength + betweenBytes > piece.length) {
      yield piece.subarray(0, at);
      if (isLarge) yield* item.pieces();
      piece = Buffer.allocUnsafe(isLarge ? size : Math.max(size, item.byteLength + betweenBytes));
      at = 0;
    }
    if (!isLarge) at = item.copyTo(piece, at);
  }
  yield piece.subarray(0, at + listEnd.copy(piece, at));
}

/** The objects of one answer, all of one revision. */
export async function readPage(
  context: ServerContext,
  route: ResourceRoute,
  options: ListOptions,
): Promise<Page> {
  const prefix = context.registry.prefixOf(route.kind, route.namespace);
  const token = options.continue === '' ? undefined : decodeContinue(options.continue);
  const start = token?.start ?? '';
  const revision =
    token === undefined
      ? await exactRevision(context, options)
      : token.revision < 0
        ? undefined
        : token.revision;
  // From the cache of any age, kube-apiserver answers in full whatever the limit.
  const limit = options.resourceVersion === '0' && token === undefined ? 0 : options.limit;
  const asked = {
    from: `${prefix}${start}`,
    ...(options.hasSelector || limit === 0 ? {} : { limit }),
    ...(revision === undefined ? {} : { revision }),
  };
  const range = await readRange(context, route, options, asked).catch((error: unknown) => {
    throw rangeError(context, error, { start, isContinued: token !== undefined });
  });
  const selected = options.hasSelector ? await select(context, route.kind, options, { range, limit }) : range;
  const last = selected.values.at(-1);
  const isCut = selected.more && last !== undefined;
  return {
    values: selected.values,
    metadata: {
      resourceVersion: String(range.revision),
      ...(isCut
        ? {
            continue: encodeContinue({
              revision: range.revision,
              start: `${last.key.slice(prefix.length)}\0`,
            }),
          }
        : {}),
      ...(isCut && !options.hasSelector ? { remainingItemCount: selected.remaining } : {}),
    },
  };
}

/** The values of a list; of a list that names one object, that one, without a look at the others. */
export async function readRange(
  context: ServerContext,
  { kind, namespace }: Pick<ResourceRoute, 'kind' | 'namespace'>,
  { name }: ListOptions,
  asked: { readonly from?: string; readonly limit?: number; readonly revision?: number },
): Promise<RangeResult> {
  const { registry } = context;
  if (name === '' || (kind.namespaced && namespace === '')) {
    return registry.range(kind, registry.prefixOf(kind, namespace), asked);
  }
  const key = `${registry.prefixOf(kind, namespace)}${name}`;
  const { from = '', ...rest } = asked;
  const found = await registry.range(kind, key, { ...rest, limit: 1 }); // Where it is there it is the first.
  const values = found.values.filter((value) => value.key === key && value.key >= from);
  return { revision: found.revision, values, more: false, remaining: 0 };
}

/** The revision to read at; undefined for the newest. */
async function exactRevision(context: ServerContext, options: ListOptions): Promise<number | undefined> {
  const asked = parseResourceVersion(options.resourceVersion, false);
  if (asked === undefined || asked === 0) return undefined;
  await checkRevision(context, asked);
  return options.match === 'Exact' ? asked : undefined;
}

/** @throws 504 for a revision that there is not yet */
export async function checkRevision({ registry }: ServerContext, revision: number): Promise<void> {
  const { store } = registry;
  // Another server on the same store may have told of it: a read of now knows all that anybody has.
  if (revision > store.revision) await reading(store.get(''), undefined, 'list');
  if (revision > store.revision) throw tooLargeResourceVersion(revision, store.revision);
}

async function select(
  context: ServerContext,
  kind: Kind,
  options: ListOptions,
  found: { readonly range: RangeResult; readonly limit: number },
): Promise<{ readonly values: readonly StoredValue[]; readonly more: boolean; readonly remaining: number }> {
  const { range, limit } = found;
  const nameEnd = options.name === '' ? '' : `/${options.name}`;
  const slice = new TimeSlice();
  const values: StoredValue[] = [];
  for (const value of range.values) {
    if (nameEnd !== '' && !value.key.endsWith(nameEnd)) continue; // No need to parse it.
    if (slice.isOver()) await slice.next();
    if (!selects(kind, options, context.registry.objectOf(kind, value))) continue;
    if (limit > 0 && values.length === limit) return { values, more: true, remaining: 0 };
    values.push(value);
  }
  return { values, more: false, remaining: 0 };
}

function rangeError(
  context: ServerContext,
  error: unknown,
  from: { readonly start: string; readonly isContinued: boolean },
): unknown {
  if (isPodwrightError(error, 'E_INVALID')) {
    return tooLargeResourceVersion(
      String(at(error.detail, 'revision') ?? ''),
      context.registry.store.revision,
    );
  }
  if (!isPodwrightError(error, 'E_NOT_FOUND')) return error;
  if (!from.isContinued) return expired('The resourceVersion for the provided list is too old.');
  return expiredContinue(encodeContinue({ revision: -1, start: from.start }));
}

const expiredContinueText =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
  'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
  'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted ' +
  'between the time the first chunk was returned and now may show up in the list.';

function expiredContinue(token: string): Error {
  const error = statusError(410, 'Expired', expiredContinueText);
  const status = { ...objectOf(error.detail['status']), metadata: { continue: token } };
  return new PodwrightError('E_API', error.message, { detail: { ...error.detail, status } });
}
