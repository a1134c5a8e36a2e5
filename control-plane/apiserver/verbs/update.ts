import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { isFinished } from '#api/strategy/deletion.ts';
import { at, equalJson, stringOf } from '#api/wire/json.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { bareError, conflict, invalid, notFound } from '#api/errors/status.ts';
import { withOwnersOf, withoutNewTimes, withoutOwners } from '#api/patch/apply/manage.ts';
import { prepareUpdate } from '#api/strategy/strategy.ts';
import { updateWarnings } from '#api/warnings/warnings.ts';
import { deletionErrors } from '#api/validation/meta.ts';
import { validateUpdate } from '#api/validation/validation.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  admissionFor,
  admit,
  admitAtOnce,
  validate,
  validateAtOnce,
  type Admission,
} from '#control-plane/apiserver/chain/admission/run-admission.ts';
import type { Held } from '#control-plane/apiserver/chain/admission/held.ts';
import { checkCreateAccess, createObject, writtenEntry, writtenResponse, type Written } from './create.ts';
import type { Decision, Entry } from '#control-plane/apiserver/objects/registry.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { workOnBody, type BodyWork } from '#control-plane/apiserver/serve/large-body.ts';
import { storageKey } from '#control-plane/apiserver/objects/storage-key.ts';
import { afterAdmission, managerOfRequest, manageWrite, orWithoutOwners } from './owners.ts';
import { namespaceFaults } from './namespace-faults.ts';
import { duplicatesGiven, withOwnersOnce } from './owner-references.ts';
import { checkPlaceOf } from './place.ts';
import { parseWriteOptions, type WriteOptions } from './write-options.ts';
import { writeObject } from './write.ts';

/** What admission knows of a change that the rest of it does not say. */
export type AdmittedAs = Pick<AdmissionAttributes, 'user' | 'scope' | 'verb' | 'subresource'>;

export function admittedAs({ verb, subresource }: ResourceRoute, request: AuthorizedRequest): AdmittedAs {
  return { user: request.user, scope: request, verb, subresource: subresource?.name ?? '' };
}

/** Something else as which an object can be read and written: its Scale. */
export interface ObjectView {
  readonly of: (object: JsonObject) => JsonObject;
  /** The object as the view has it. */
  readonly into: (object: JsonObject, view: JsonObject) => JsonObject;
}

const asItIs: ObjectView = { of: (object) => object, into: (_object, view) => view };

export interface UpdateInput {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** Which part is written; undefined for the object itself. */
  readonly subresource?: string | undefined;
  readonly dryRun: boolean;
  /**
   * Who asks, how and for which part of the object. undefined: the change is the server's own, follows from a request that was admitted,
   * and gives the object as it shall be: nothing of it is defaulted, kept or refused.
   */
  readonly admittedAs: AdmittedAs | undefined;
  /** What admission sees of the object instead of it. */
  readonly view?: ObjectView;
  /** The body that it comes from; a large one is changed ahead, in steps. */
  readonly work?: BodyWork;
  /** The new object, from the one that is there now. May be called again. */
  readonly change: (current: JsonObject) => JsonObject;
  /** The new object, defaulted, with who owns what of it after the write; undefined: it says so itself. */
  readonly own?: (current: JsonObject, next: JsonObject) => JsonObject;
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
  if (work.pause !== undefined) await work.pause();
  const { object: given, warnings: ofFields } = decodeRequest(kind, body, options.fieldValidation);
  request.record?.saw(given);
  if (work.pause !== undefined) await work.pause();
  checkPlaceOf(route, given);
  const object = withOwnersOnce(given, request, duplicatesGiven);
  const subresource = route.subresource?.name;
  const warnings = [...ofFields, ...(subresource === undefined ? effectWarnings(kind, object) : [])];
  const input = {
    ...{ kind, namespace, name, subresource, dryRun: options.dryRun, work },
    admittedAs: admittedAs(route, request),
    change: () => object,
  };
  const manager = managerOfRequest(options, request);
  const mayCreate =
    subresource === undefined &&
    rulesOf(kind).createdByUpdate === true &&
    stringOf(at(object, 'metadata.resourceVersion')) === '' &&
    (await context.registry.read(kind, namespace, name)) === undefined;
  if (mayCreate) {
    await checkCreateAccess(context, route, request.user);
    const written = await createObject(context, {
      ...input,
      object,
      user: request.user,
      scope: request,
      manager,
      pause: work.pause,
    });
    return writtenResponse(context, { status: 201, kind, written, warnings }, request);
  }
  const written = await updateObject(context, {
    ...input,
    own: (live, next) => manageWrite(context, { kind, subresource, manager }, { live, next }),
  });
  return writtenResponse(context, { status: 200, kind, written, warnings }, request);
}

/** Changes an object that is there: each writer sees what the one before left. See writeObject. */
export function updateObject(context: ServerContext, input: UpdateInput): Promise<Written> {
  if (input.own === undefined) return updateOnce(context, input);
  return orWithoutOwners(
    () => updateOnce(context, input),
    () => updateOnce(context, { ...input, own: (_live, next) => withoutOwners(next) }),
  );
}

async function updateOnce(context: ServerContext, input: UpdateInput): Promise<Written> {
  const { kind, namespace, name, dryRun } = input;
  const admission = admissionOf(context, input);
  const admitting: Admitting = { ...input, admission };
  const isLarge = input.work?.isLarge === true;
  const { decision, entry } = await writeObject(context, {
    ...{ kind, namespace, name },
    path: mayWait(kind, admission) ? 'mayWait' : isLarge ? 'steps' : 'atOnce',
    prepare: async (current, held) => {
      const prepared = await prepareAhead(context, { ...admitting, held }, current);
      await context.registry.custom.prepareToStore(kind, prepared);
      return prepared;
    },
    decide: (current, isClaimed, ahead: JsonObject | undefined) => {
      if (current === undefined) throw notFound(kind, name);
      const prepared = ahead ?? prepareAtOnce(context, admitting, current);
      if (prepared === undefined) return undefined;
      const allocated = context.allocators.allocate(kind, prepared, isClaimed, current.object);
      // What was found valid is so still, if nothing was added to it.
      const isChecked = allocated === prepared;
      const isStored = (object: JsonObject): boolean =>
        context.registry.custom.isStored(kind, current.value, object);
      return decideUpdate({ ...input, isChecked, isStored }, current, allocated);
    },
  });
  if (decision.write === 'put' && entry !== undefined) return writtenEntry(entry);
  return { object: decision.object, entry: dryRun ? undefined : entry };
}

/** Whether somebody has to be waited for: who has a say, or who converts the object. */
function mayWait(kind: Kind, admission: Admission | undefined): boolean {
  return admission?.mayWait === true || kind.custom?.conversion.kind === 'webhook';
}

type Admitting = UpdateInput & { readonly admission: Admission | undefined };

function admissionOf(context: ServerContext, input: UpdateInput): Admission | undefined {
  const { kind, namespace, name, dryRun, admittedAs } = input;
  if (admittedAs === undefined) return undefined;
  return admissionFor(context, { operation: 'update', ...admittedAs, kind, namespace, name, dryRun });
}

/**
 * The object as the change and admission make it, with defaults, and with what it may not change as it was; in one step. What is not valid
 * is told before admission judges it, as upstream's storage does. undefined: somebody has to be waited for. @throws {E_API} 403, 409, 422
 */
function prepareAtOnce(context: ServerContext, input: Admitting, current: Entry): JsonObject | undefined {
  const { kind, name, admission, view = asItIs } = input;
  const given = changeObject(input, current);
  if (admission === undefined) return given;
  const old = view.of(current.object);
  const defaulted = ownedBy(input, current, applyDefaults(kind, given));
  const shown = view.of(withoutOwners(defaulted));
  const admitted = admitAtOnce(context, admission, { object: shown, old });
  const changed = admitted === shown ? defaulted : withOwnersOf(view.into(defaulted, admitted), defaulted);
  const prepared = prepareChange(context, input, current.object, changed);
  const errors = faultsOf(context, input, { old: current.object, object: prepared });
  if (errors.length > 0) throw invalid(kind, name, errors);
  return validateAtOnce(context, admission, { object: view.of(prepared), old }) ? prepared : undefined;
}

/** As `prepareAtOnce`, waiting for who has to be waited for, and in steps where it is large. */
async function prepareAhead(
  context: ServerContext,
  input: Admitting & { readonly held: Held },
  current: Entry,
): Promise<JsonObject> {
  const { kind, name, admission, held, view = asItIs } = input;
  const old = view.of(current.object);
  const { custom } = context.registry;
  const given = await custom.settle(() => changeObject(input, current));
  if (admission === undefined) return given;
  if (input.work?.pause !== undefined) await input.work.pause();
  const complete = applyDefaults(kind, given);
  const defaulted = await custom.settle(() => ownedBy(input, current, complete));
  if (input.work?.pause !== undefined) await input.work.pause();
  const shown = view.of(defaulted);
  const admitted = await admit(context, admission, { object: shown, old });
  const changed =
    admitted === shown
      ? defaulted
      : afterAdmission(view.into(defaulted, admitted), defaulted, input.admittedAs?.scope);
  const prepared = prepareChange(context, input, current.object, changed);
  if (input.work?.pause !== undefined) await input.work.pause();
  const errors = faultsOf(context, input, { old: current.object, object: prepared });
  if (errors.length > 0) throw invalid(kind, name, errors);
  if (input.work?.pause !== undefined) await input.work.pause();
  await validate(context, admission, { object: view.of(prepared), old, held });
  return prepared;
}

function faultsOf(
  context: ServerContext,
  { kind, subresource }: UpdateInput,
  { old, object }: { readonly old: JsonObject; readonly object: JsonObject },
): readonly FieldError[] {
  return [...validateUpdate(kind, old, object, subresource), ...namespaceFaults(context, kind, object, old)];
}

/** With what an update may not change as it was, and what the server dates. */
function prepareChange(
  { clock }: ServerContext,
  { kind, subresource }: UpdateInput,
  current: JsonObject,
  changed: JsonObject,
): JsonObject {
  const prepared = prepareUpdate(kind, current, changed, subresource);
  return rulesOf(kind).dateUpdate?.(current, prepared, clock.now()) ?? prepared;
}

function ownedBy({ own }: UpdateInput, { object: current }: Entry, next: JsonObject): JsonObject {
  return own?.(current, next) ?? next;
}

function changeObject({ kind, name, change, admittedAs: asked }: UpdateInput, current: Entry): JsonObject {
  const given = change(current.object);
  checkIdentity(kind, current, given);
  const errors = asked === undefined ? [] : deletionErrors(current.object, given);
  if (errors.length > 0) throw invalid(kind, name, errors);
  return given;
}

/** @throws {E_API} 422 for an object that is not valid after this one */
function decideUpdate(
  input: UpdateInput & {
    readonly isChecked: boolean;
    readonly isStored: (object: JsonObject) => boolean;
  },
  { object: current, value }: Entry,
  changed: JsonObject,
): Decision {
  const { kind, name, dryRun, subresource } = input;
  const object = withoutNewTimes(current, changed);
  const errors =
    input.admittedAs === undefined || input.isChecked
      ? []
      : validateUpdate(kind, current, object, subresource);
  if (errors.length > 0) throw invalid(kind, name, errors);
  if (input.admittedAs !== undefined) {
    const warnings = updateWarnings(kind, {
      ...{ object, old: current },
      subresource: input.admittedAs.subresource,
    });
    for (const text of warnings) input.admittedAs.scope?.warn(text);
  }
  if (dryRun) return { write: 'nothing', object: equalJson(current, object) ? current : object };
  if (isFinished(kind, object)) return { write: 'remove', object };
  // What was stored with another key, or as another version, is stored anew, though nothing changes.
  const isSame = value.isStale !== true && equalJson(current, object) && input.isStored(object);
  return isSame ? { write: 'nothing', object: current } : { write: 'put', object };
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
  if (revision !== '' && !/^\d+$/.test(revision))
    throw bareError(`strconv.ParseUint: parsing ${JSON.stringify(revision)}: invalid syntax`);
  const isNamed = Number(revision) !== 0;
  if (isNamed && Number(revision) !== current.value.modRevision) throw conflict(kind, name);
  if (isNamed || (kind.custom === undefined && rulesOf(kind).updatesNameRevision !== true)) return;
  // Not written over what nobody has seen.
  const fault = invalidField('metadata.resourceVersion', 0, 'must be specified for an update');
  throw invalid({ group: kind.group, kind: kind.resource }, name, [fault]);
}
