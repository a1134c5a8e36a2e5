import { applyDefaults } from '#api/defaults/defaults.ts';
import { badRequest, conflict, invalid, notFound, statusError } from '#api/errors/status.ts';
import { invalidField } from '#api/errors/field-error.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import { atomOf } from '#api/patch/apply/atom.ts';
import { configFault } from '#api/patch/apply/check-config.ts';
import { withLastApplied, nameOfKubectl } from '#api/patch/apply/last-applied.ts';
import { manageApply, withOwners } from '#api/patch/apply/manage.ts';
import type { Owners } from '#api/patch/apply/owner.ts';
import { formatGroupVersion, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { decodeRequest, type FieldValidation } from '#api/wire/decode-request.ts';
import { at, isObject, jsonKind, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { checkValueCount } from '#api/wire/value-count.ts';
import { parseJsonStrict, type StrictJson } from '#api/wire/parse-json.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { isPodwrightError } from '#base/errors.ts';
import { checkCreateAccess, createObject, writtenResponse, type Written } from './create.ts';
import { ownerTerms, writerOf } from './owners.ts';
import { checkPlaceOf } from './place.ts';
import { admittedAs, updateObject } from './update.ts';
import type { BodyWork } from '#control-plane/apiserver/serve/large-body.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { WriteOptions } from './write-options.ts';

/** What somebody wants an object to have (KEP-555), read from YAML or JSON. */
export interface Config {
  readonly object: JsonObject;
  /** What is to be told of its text. */
  readonly warnings: readonly string[];
}

/** An application that was read, and is still to be done. */
export interface Application {
  readonly route: ResourceRoute;
  readonly request: AuthorizedRequest;
  readonly options: WriteOptions;
  readonly config: Config;
  readonly work: BodyWork;
}

/** Times that an object is looked for which others make and delete meanwhile. */
const triesMax = 5;

/** PATCH with `application/apply-patch+yaml`: changes the object, or makes it where there is none. */
export async function applyObject(context: ServerContext, application: Application): Promise<ApiResponse> {
  const { route, request, config } = application;
  const { kind } = route;
  for (let tries = 1; ; tries++) {
    const done = (await changeApplied(context, application)) ?? (await createApplied(context, application));
    if (done !== undefined) {
      const warnings = [
        ...config.warnings,
        ...(route.subresource === undefined ? effectWarnings(kind, done.written.object) : []),
      ];
      return writtenResponse(
        context,
        { status: done.status, kind, written: done.written, warnings },
        request,
      );
    }
    if (tries === triesMax) throw conflict(kind, route.name);
  }
}

interface Done {
  readonly status: number;
  readonly written: Written;
}

/** undefined: there is no such object, and one may be made. */
async function changeApplied(context: ServerContext, application: Application): Promise<Done | undefined> {
  const { route, request, options, work } = application;
  const { kind, namespace, name, subresource } = route;
  if ((await context.registry.read(kind, namespace, name)) === undefined) {
    if (subresource === undefined) return undefined;
    throw notFound(kind, name);
  }
  let isThere = false;
  try {
    const written = await updateObject(context, {
      ...{ kind, namespace, name, subresource: subresource?.name, dryRun: options.dryRun, work },
      admittedAs: admittedAs(route, request),
      change: (current) => {
        isThere = true;
        return appliedTo(context, application, current);
      },
    });
    return { status: 200, written };
  } catch (error) {
    const isGone = !isThere && isPodwrightError(error, 'E_API') && error.detail['reason'] === 'NotFound';
    if (isGone && subresource === undefined) return undefined;
    throw error;
  }
}

function appliedTo(context: ServerContext, application: Application, current: JsonObject): JsonObject {
  const { route } = application;
  const object = applyTo(context, application, current);
  const uid = stringOf(at(object, 'metadata.uid'));
  if (uid !== stringOf(at(current, 'metadata.uid')))
    throw invalid(route.kind, route.name, [invalidField('metadata.uid', uid, 'field is immutable')]);
  checkPlaceOf(route, object);
  return object;
}

/** undefined: somebody else made it meanwhile. */
async function createApplied(context: ServerContext, application: Application): Promise<Done | undefined> {
  const { route, request, options, work } = application;
  const { kind, namespace, name } = route;
  // The store compares versions with those of objects that are there; this is an update to it (etcd3 GuaranteedUpdate).
  const object = withPath(applyTo(context, application, undefined), 'metadata.resourceVersion', undefined);
  const uid = stringOf(at(object, 'metadata.uid'));
  if (uid !== '') {
    const cause = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(kind, name, cause);
  }
  checkPlaceOf(route, object);
  await checkCreateAccess(context, route, request.user);
  try {
    const written = await createObject(context, {
      ...{ kind, namespace, object, user: request.user, scope: request },
      ...{ dryRun: options.dryRun, pause: work.pause },
    });
    return { status: 201, written };
  } catch (error) {
    if (isPodwrightError(error, 'E_API') && error.detail['reason'] === 'AlreadyExists') return undefined;
    throw error;
  }
}

/** The live object, or a new one, with the configuration applied: decoded, defaulted, with its owners. @throws {E_API} 409 */
function applyTo(context: ServerContext, application: Application, live: JsonObject | undefined): JsonObject {
  const { kind, subresource } = application.route;
  const { object, owners } = merge(context, application, { kind, live, subresource: subresource?.name });
  if (object === undefined)
    return withSynced(application, live ?? { apiVersion: formatGroupVersion(kind), kind: kind.kind }, owners);
  checkValueCount(object);
  const named = { kind: kind.kind, apiVersion: formatGroupVersion(kind) };
  const decoded = decodeRequest(kind, { value: object, duplicateFields: [], ...named }, 'Ignore').object;
  return withSynced(application, applyDefaults(kind, decoded), owners);
}

/** The object with its owners; kubectl's with what client-side apply would have noted of it. */
function withSynced({ config, options }: Application, object: JsonObject, owners: Owners): JsonObject {
  const isKubectl = options.fieldManager === nameOfKubectl;
  return withOwners(isKubectl ? withLastApplied(object, config.object) : object, owners);
}

/** As `applyTo`, neither decoded nor defaulted; undefined where the object is as it was. */
export function merge(
  context: ServerContext,
  { config, options }: Pick<Application, 'config' | 'options'>,
  {
    kind,
    live,
    subresource,
  }: { readonly kind: Kind; readonly live: JsonObject | undefined; readonly subresource: string | undefined },
): { readonly object: JsonObject | undefined; readonly owners: Owners } {
  checkConfig(kind, config.object);
  const terms = ownerTerms(context, kind, subresource ?? '');
  return manageApply(
    terms,
    { live: live ?? terms.empty, config: config.object, isForced: options.force },
    writerOf(context, options.fieldManager, subresource),
  );
}

/** @throws {E_API} 400 for an object of another kind or with owners; 500, as upstream, for one that the schema does not know */
function checkConfig(kind: Kind, config: JsonObject): void {
  const { group, version } = parseGroupVersion(stringOf(config['apiVersion']));
  const name = stringOf(config['kind']);
  if (group !== kind.group || version !== kind.version || name !== kind.kind)
    throw badRequest(`invalid object type: ${group}/${version}, Kind=${name}`);
  const owners = objectOf(config['metadata'])['managedFields'];
  if (owners !== undefined && owners !== null) throw badRequest('metadata.managedFields must be nil');
  const fault = configFault(atomOf(kind), config);
  if (fault === undefined) return;
  const { namespace, name: own } = objectOf(config['metadata']);
  const shown = `${stringOf(namespace)}/${stringOf(own)}; ${kind.group === '' ? '/' : ''}${formatGroupVersion(kind)}, Kind=${kind.kind}`;
  throw statusError(500, '', `failed to create typed patch object (${shown}): ${fault}`);
}

/** @throws {E_API} 400 for what is no YAML, or (Strict) says a member twice */
export function readConfig(bytes: Uint8Array, validation: FieldValidation): Config {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const { value, duplicateFields, duplicateLine } = parseConfig(text);
  if (value !== null && !isObject(value)) {
    throw badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]interface {}`,
    );
  }
  const warnings = duplicateFields.map(
    (field) => `line ${duplicateLine ?? 1}: key ${JSON.stringify(field)} already set in map`,
  );
  if (validation === 'Strict' && warnings.length > 0) {
    throw badRequest(
      `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ${warnings.join('\n  ')}`,
    );
  }
  return { object: value ?? {}, warnings: validation === 'Warn' ? warnings : [] };
}

function parseConfig(text: string): ReturnType<typeof parseYaml> {
  try {
    return parseJson(text) ?? parseYaml(firstDocument(text));
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    throw badRequest(`error decoding YAML: ${error.message}`);
  }
}

/** JSON is YAML, and read several times as fast by itself; undefined for what is none. */
function parseJson(text: string): StrictJson | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const { value, duplicateFields } = parseJsonStrict(text);
    return { value, duplicateFields: duplicateFields.map((path) => path.slice(path.lastIndexOf('.') + 1)) };
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    return undefined;
  }
}

/** Of several documents the first alone counts, as go-yaml reads them. */
function firstDocument(text: string): string {
  const start = /^(?:\s*#[^\n]*\n|\s*\n|%[^\n]*\n)*---(?=\s)/.exec(text)?.[0].length ?? 0;
  const end = /\n(?:---|\.\.\.)(?=\s|$)/.exec(text.slice(start));
  return end === null ? text : text.slice(0, start + end.index + 1);
}
