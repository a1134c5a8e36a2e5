import { at, objectOf, structJson } from '#api/wire/json.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { expired, notFound, statusError, tooLargeResourceVersion } from '#api/errors/status.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { RangeResult, StoredValue } from '#control-plane/store/store.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { parseListOptions, parseResourceVersion, type ListOptions } from './list-options.ts';
import { Shown, typedShape, type StoredBytes } from '#control-plane/apiserver/objects/object-bytes.ts';
import { reading } from '#control-plane/apiserver/objects/store-answer.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import {
  bytesResponse,
  objectResponse,
  piecesResponse,
  streamedResponse,
  styleOf,
} from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { largeItemBytes, listOfKept, listOfRows, listOfStored, Row, type ListMetadata } from './list-body.ts';
import { selectionOf, type Selection } from './selection.ts';
import { TimeSlice } from '#base/time-slice.ts';
import {
  listOf,
  oneOf,
  renderRow,
  renderTable,
  negotiateObjects,
  transformObject,
  transformOf,
  type Transform,
} from './transform.ts';

/** GET of one object. */
export async function getObject(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const representation = negotiateObjects(kind, request.headers['accept']);
  const transform = transformOf(representation, request.query, oneOf(kind));
  await checkRevision(context, parseResourceVersion(request.query.get('resourceVersion') ?? '', true) ?? 0);
  const entry = await context.registry.readAnew(kind, namespace, name);
  if (entry === undefined) throw notFound(kind, name);
  const style = styleOf(request, representation);
  if (transform !== undefined) {
    return objectResponse(200, transformObject(kind, transform, entry.object, context.clock.now()), style);
  }
  const shown = new Shown(typedShape(kind), context.registry.storedOf(kind, entry.value));
  if (shown.byteLength < largeItemBytes) return bytesResponse(200, shown.toBytes(), style);
  return piecesResponse(shown.pieces(), style);
}

interface Page {
  readonly values: readonly StoredValue[];
  readonly metadata: ListMetadata;
}

/** GET of a collection. */
export async function listObjects(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind } = route;
  const representation = negotiateObjects(kind, request.headers['accept']);
  const options = parseListOptions(route, request.query);
  const page = await readPage(context, route, options);
  const transform = transformOf(representation, request.query, listOf(kind));
  const style = styleOf(request, representation);
  if (transform?.kind === 'table') return listTable(context, { kind, transform, page }, style);
  const list = { kind, transform, metadata: page.metadata };
  const { pieces, keep } = context.recentLists.ask(page.values, { kind, apiVersion: transform?.apiVersion });
  if (pieces !== undefined) return streamedResponse(listOfKept(list, pieces), style);
  const { registry } = context;
  const stored: StoredBytes[] = [];
  const slice = new TimeSlice();
  for (const value of page.values) {
    stored.push(registry.storedOf(kind, value, transform !== undefined));
    if (slice.isOver()) await slice.next();
  }
  return streamedResponse(listOfStored(list, stored, keep), style);
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
  const empty = structJson(renderTable(table, { ...page.metadata }, []));
  const rows: Row[] = [];
  const slice = new TimeSlice();
  const { compareRows } = rulesOf(kind);
  const objects = page.values.values().map((value) => context.registry.objectOf(kind, value));
  for (const object of compareRows === undefined ? objects : [...objects].toSorted(compareRows)) {
    rows.push(new Row(renderRow(table, object)));
    if (slice.isOver()) await slice.next();
  }
  return streamedResponse(listOfRows(empty, rows), style);
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
  const selection = selectionOf(context.registry, route.kind, options);
  const selected = selection === undefined ? range : await select(selection, range.values, limit);
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
  { selects }: Selection,
  all: readonly StoredValue[],
  limit: number,
): Promise<{ readonly values: readonly StoredValue[]; readonly more: boolean; readonly remaining: number }> {
  const slice = new TimeSlice();
  const values: StoredValue[] = [];
  for (const value of all) {
    if (slice.isOver()) await slice.next();
    if (!selects(value)) continue;
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
