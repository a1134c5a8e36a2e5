import { decodeBodyOf } from '#api/body.ts';
import { decodeRequest } from '#api/decode-request.ts';
import { applyDefaults } from '#api/defaults.ts';
import { isFinished } from '#api/deletion.ts';
import { at, equalJson, stringOf, withPath } from '#api/json.ts';
import { effectWarnings } from '#api/kind-effects.ts';
import type { Kind } from '#api/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/object.ts';
import { badRequest, conflict, invalid, notFound } from '#api/status.ts';
import { prepareUpdate } from '#api/strategy.ts';
import { validateUpdate } from '#api/validation.ts';
import { admitResize } from './admission/admit-resize.ts';
import { checkNamespaceOf, createObject, writtenEntry, writtenResponse, type Written } from './create.ts';
import type { Decision, Entry } from './registry.ts';
import type { IsClaimed } from './services/claims.ts';
import type { ApiResponse, AuthorizedRequest } from './request.ts';
import type { ResourceRoute } from './route.ts';
import type { ServerContext } from './server-context.ts';
import { workOnBody, type BodyWork } from './large-body.ts';
import { storageKey } from './storage-key.ts';
import { parseWriteOptions, type WriteOptions } from './write-options.ts';

export interface UpdateInput {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** Which part is written; undefined for the object itself. */
  readonly subresource?: string | undefined;
  readonly dryRun: boolean;
  /** The body that it comes from; a large one is changed ahead, in steps. */
  readonly work?: BodyWork;
  /** The new object, from the one that is there now. May be called again. */
  readonly change: (current: JsonObject) => JsonObject;
  /** Whether `change` is the server's own and gives the object as it shall be: nothing of it is defaulted, kept or refused. */
  readonly isOwn?: boolean;
}

/** PUT of an object or of its status and the like. */
export async function putObject(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const options = parseWriteOptions('UpdateOptions', request.query);
  const bytes = await request.readBody();
  return workOnBody({ bytes: bytes.byteLength, request }, (work) =>
    putBytes(context, { route, request, options, bytes, work }),
  );
}

async function putBytes(
  context: ServerContext,
  put: {
    readonly route: ResourceRoute;
    readonly request: AuthorizedRequest;
    readonly options: WriteOptions;
    readonly bytes: Uint8Array;
    readonly work: BodyWork;
  },
): Promise<ApiResponse> {
  const { route, request, options, bytes, work } = put;
  const { kind, namespace, name } = route;
  const body = decodeBodyOf(kind.kind, bytes, request.headers['content-type']);
  await work.pause();
  const { object: given, warnings: ofFields } = decodeRequest(kind, body, options.fieldValidation);
  await work.pause();
  checkNameOf(name, given);
  const object = withPath(given, 'metadata.name', name);
  checkNamespaceOf(kind, namespace, object);
  const subresource = route.subresource?.name;
  const warnings = [...ofFields, ...(subresource === undefined ? effectWarnings(kind, object) : [])];
  const input = { kind, namespace, name, subresource, dryRun: options.dryRun, work, change: () => object };
  const mayCreate =
    subresource === undefined &&
    rulesOf(kind).createdByUpdate === true &&
    stringOf(at(object, 'metadata.resourceVersion')) === '' &&
    (await context.registry.read(kind, namespace, name)) === undefined;
  if (mayCreate) {
    const written = await createObject(context, { ...input, object, user: request.user, pause: work.pause });
    return writtenResponse(context, { status: 201, kind, written, warnings }, request);
  }
  const written = await updateObject(context, input);
  return writtenResponse(context, { status: 200, kind, written, warnings }, request);
}

/** Reads, changes, checks and writes as one step: writers of one object take turns, and each sees what the one before left. */
export async function updateObject(context: ServerContext, input: UpdateInput): Promise<Written> {
  const { kind, name, dryRun } = input;
  using room = input.subresource === 'resize' ? await roomForResize(context, input) : undefined;

  const ahead = input.work?.isLarge === true ? await changeAhead(context, input, input.work) : undefined;
  const decide = (current: Entry | undefined, isClaimed: IsClaimed): Decision => {
    if (current === undefined) throw notFound(kind, name);
    // Admission counted with another object than the one that is there now.
    if (room !== undefined && room.revision !== current.value.modRevision) throw conflict(kind, name);
    const known = ahead?.revision === current.value.modRevision ? ahead : undefined;
    const prepared = known?.prepared ?? prepareObject(input, current);
    const allocated = context.allocators.allocate(kind, prepared, isClaimed, current.object);
    // What was found valid ahead is so still, if nothing was added to it.
    const isChecked = known !== undefined && allocated === prepared;
    return decideUpdate({ ...input, isChecked }, current.object, allocated);
  };
  const { decision, entry } = await context.registry.change(kind, input, decide);
  if (decision.write === 'put' && entry !== undefined) return writtenEntry(entry);
  return { object: decision.object, entry: dryRun ? undefined : entry };
}

/** What a change comes to, as of a revision. */
interface Ahead {
  readonly revision: number;
  readonly prepared: JsonObject;
}

/**
 * Makes and checks a large change in steps before its turn at the object, which has none: if nobody else writes in between, that is
 * all there is to do.
 */
async function changeAhead(
  context: ServerContext,
  input: UpdateInput,
  { pause }: BodyWork,
): Promise<Ahead | undefined> {
  const { kind, namespace, name } = input;
  const current = await context.registry.read(kind, namespace, name);
  if (current === undefined) throw notFound(kind, name);
  const given = changeObject(input, current);
  await pause();
  const defaulted = applyDefaults(kind, given);
  await pause();
  const prepared = prepareUpdate(kind, current.object, defaulted, input.subresource);
  await pause();
  const errors = validateUpdate(kind, current.object, prepared, input.subresource);
  if (errors.length > 0) throw invalid(kind, name, errors);
  await pause();
  return { revision: current.value.modRevision, prepared };
}

interface ResizeRoom extends Disposable {
  /** Of the object that the room was counted with. */
  readonly revision: number;
}

/** Room in the namespace for what a resize adds, held until it is disposed of. @throws {E_API} 403, 404 */
async function roomForResize(context: ServerContext, input: UpdateInput): Promise<ResizeRoom> {
  const { kind, namespace, name } = input;
  const current = await context.registry.read(kind, namespace, name);
  if (current === undefined) throw notFound(kind, name);
  const object = prepareObject(input, current);
  const turn = await admitResize(context, { kind, namespace, current, object });
  return { revision: current.value.modRevision, [Symbol.dispose]: () => turn?.[Symbol.dispose]() };
}

/** The object as the change makes it, with defaults, and with what it may not change as it was. @throws {E_API} 409 */
function prepareObject(input: UpdateInput, current: Entry): JsonObject {
  const { kind, subresource } = input;
  const given = changeObject(input, current);
  if (input.isOwn === true) return given;
  return prepareUpdate(kind, current.object, applyDefaults(kind, given), subresource);
}

function changeObject({ kind, change }: UpdateInput, current: Entry): JsonObject {
  const given = change(current.object);
  checkIdentity(kind, current, given);
  return given;
}

/** @throws {E_API} 422 for an object that is not valid after this one */
function decideUpdate(
  input: UpdateInput & { readonly isChecked: boolean },
  current: JsonObject,
  object: JsonObject,
): Decision {
  const { kind, name, dryRun, subresource } = input;
  const errors =
    input.isOwn === true || input.isChecked ? [] : validateUpdate(kind, current, object, subresource);
  if (errors.length > 0) throw invalid(kind, name, errors);
  if (dryRun) return { write: 'nothing', object: equalJson(current, object) ? current : object };
  if (isFinished(kind, object)) return { write: 'remove', object };
  return equalJson(current, object) ? { write: 'nothing', object: current } : { write: 'put', object };
}

/** A write that names a revision or uid means that very object. */
function checkIdentity(kind: Kind, current: Entry, given: JsonObject): void {
  const name = stringOf(at(current.object, 'metadata.name'));
  const uid = stringOf(at(given, 'metadata.uid'));
  const currentUid = stringOf(at(current.object, 'metadata.uid'));
  if (uid !== '' && uid !== currentUid) {
    const key = storageKey(kind, stringOf(at(current.object, 'metadata.namespace')), name);
    const cause = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`;
    throw conflict(kind, name, cause);
  }
  const revision = stringOf(at(given, 'metadata.resourceVersion'));
  if (revision !== '' && revision !== String(current.value.modRevision)) throw conflict(kind, name);
}

/** @throws {E_API} 400 when the object has another name than the URL */
export function checkNameOf(name: string, object: JsonObject): void {
  const own = stringOf(at(object, 'metadata.name'));
  if (own === '') return; // Filled in from the URL.
  if (own !== name)
    throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
}
