import { decodeObject } from '#api/wire/decode.ts';
import { at, equalJson, memberOf, numberOf, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { findSubresource, type Kind } from '#api/schema/kinds.ts';
import { keepsMetadata } from '#api/kinds/reset.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { CreateContext } from '#api/kinds/rules.ts';
import { writeStatus } from '#api/kinds/status-part.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';

/** The characters of generated names: no vowels, so no words (apimachinery util/rand). */
export const nameSuffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** What the server sets on a new, defaulted object: identity, generation, the initial status, generated labels. */
export function prepareCreate(kind: Kind, object: JsonObject, context: CreateContext): JsonObject {
  const created = { ...object, metadata: createMetadata(kind, objectOf(object['metadata']), context) };
  const withStatus = keepsStatusOnCreate(kind) ? created : withInitialStatus(kind, created, context);
  return rulesOf(kind).prepareCreate?.(withStatus, context) ?? withStatus;
}

/**
 * The new object of an update, defaulted: what clients may not change is taken from the old one; generation is bumped when
 * anything but metadata and status changed. resourceVersion becomes the old one's (compare it before), so that an update
 * that changes nothing equals the old object (`equalJson`).
 */
export function prepareUpdate(
  kind: Kind,
  old: JsonObject,
  object: JsonObject,
  subresource?: string,
): JsonObject {
  const written =
    subresource === undefined
      ? updateMain(kind, old, object)
      : updatePart(kind, { old, object: withoutForeignLabels(kind, old, object), subresource });
  const updated = {
    ...written,
    metadata: withOwnersOf(object, updateMetadata(objectOf(old['metadata']), objectOf(written['metadata']))),
  };
  return withGeneration(kind, old, { updated, subresource });
}

/** The object as its graceful deletion begins: deletionTimestamp (when the grace will end), and a new generation. */
export function markDeleted(
  object: JsonObject,
  context: { readonly now: number; readonly gracePeriodSeconds: number },
): JsonObject {
  const metadata = objectOf(object['metadata']);
  const generation = metadata['generation'];
  return {
    ...object,
    metadata: {
      ...metadata,
      deletionTimestamp: formatTime(context.now + context.gracePeriodSeconds * 1000),
      deletionGracePeriodSeconds: context.gracePeriodSeconds,
      ...(typeof generation === 'number' ? { generation: generation + 1 } : {}),
    },
  };
}

/** Whether objects of the kind carry metadata.generation (measured; kinds without it never get one). */
export function tracksGeneration(kind: Pick<Kind, 'group' | 'kind'>): boolean {
  return rulesOf(kind).tracksGeneration ?? true;
}

function createMetadata(kind: Kind, given: JsonObject, context: CreateContext): JsonObject {
  const {
    resourceVersion: _resourceVersion,
    selfLink: _selfLink,
    deletionTimestamp: _deletionTimestamp,
    deletionGracePeriodSeconds: _deletionGracePeriodSeconds,
    generation: _generation,
    managedFields,
    ...rest
  } = given;
  const prefix = stringOf(given['generateName']);
  const isGenerated = stringOf(given['name']) === '' && prefix !== '' && context.nameSuffix !== undefined;
  return {
    ...rest,
    ...(isGenerated ? { name: `${prefix.slice(0, generateNamePrefixMax)}${context.nameSuffix}` } : {}),
    ...(kind.namespaced && context.namespace !== undefined ? { namespace: context.namespace } : {}),
    uid: context.uid,
    ...(tracksGeneration(kind) ? { generation: 1 } : {}),
    creationTimestamp: formatTime(context.now),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
}

const generateNamePrefixMax = 58; // 63, the shortest limit of a name, less the suffix.

function updateMetadata(old: JsonObject, given: JsonObject): JsonObject {
  const kept: Record<string, unknown> = { ...given };
  for (const field of serverOwned) {
    if (old[field] === undefined) delete kept[field];
    else kept[field] = old[field];
  }
  delete kept['selfLink'];
  return kept;
}

/** Who owns what is told by whoever changes the object, whatever part of it is written. Last, as the API shows it. */
function withOwnersOf(object: JsonObject, metadata: JsonObject): JsonObject {
  const { managedFields: _old, ...rest } = metadata;
  const managedFields = at(object, 'metadata.managedFields');
  return managedFields === undefined ? rest : { ...rest, managedFields };
}

const serverOwned = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
];

function withoutForeignLabels(kind: Kind, old: JsonObject, object: JsonObject): JsonObject {
  return rulesOf(kind).keepsLabelsOnStatus === true
    ? withPath(object, 'metadata.labels', at(old, 'metadata.labels'))
    : object;
}

/** A main endpoint that has a status subresource never writes status. */
function updateMain(kind: Kind, old: JsonObject, object: JsonObject): JsonObject {
  const written =
    findSubresource(kind, 'status') === undefined ? object : withPath(object, 'status', old['status']);
  return rulesOf(kind).prepareUpdate?.(old, written) ?? written;
}

/** The old object with only what that subresource may change; others (binding, scale, token, …) are not written as the object. */
function updatePart(
  kind: Kind,
  { old, object, subresource }: { old: JsonObject; object: JsonObject; subresource: string },
): JsonObject {
  if (subresource === 'status') {
    const parts = writeStatus(old, object);
    const written = keepsMetadata(kind, subresource) ? { ...parts, metadata: old['metadata'] } : parts;
    return rulesOf(kind).prepareStatusUpdate?.(old, written) ?? written;
  }
  return memberOf(rulesOf(kind).parts, subresource)?.write(old, object) ?? old;
}

function withGeneration(
  kind: Kind,
  old: JsonObject,
  { updated, subresource }: { readonly updated: JsonObject; readonly subresource: string | undefined },
): JsonObject {
  if (!isOfOtherGeneration(kind, old, { updated, subresource })) return updated;
  return withPath(updated, 'metadata.generation', numberOf(at(old, 'metadata.generation')) + 1);
}

function isOfOtherGeneration(
  kind: Kind,
  old: JsonObject,
  { updated, subresource }: { readonly updated: JsonObject; readonly subresource: string | undefined },
): boolean {
  const counts = rulesOf(kind).generationCounts ?? [];
  const differs = (path: string): boolean => !equalJson(at(old, path), at(updated, path));
  if ('only' in counts) return counts.only.some(differs);
  if (!tracksGeneration(kind)) return false;
  if (subresource === undefined && counts.some(differs)) return true;
  return !equalJson(desiredOf(kind, old), desiredOf(kind, updated));
}

function desiredOf(kind: Kind, object: JsonObject): JsonObject {
  const { metadata: _metadata, status, kind: _kind, apiVersion: _apiVersion, ...desired } = object;
  return kind.custom?.statusIsBody === true ? { ...desired, status } : desired;
}

/** Kubelets register Nodes with their status; kinds without the subresource (reviews) have a status of their own. */
function keepsStatusOnCreate(kind: Kind): boolean {
  return rulesOf(kind).keepsStatusOnCreate === true || findSubresource(kind, 'status') === undefined;
}

function withInitialStatus(kind: Kind, object: JsonObject, context: CreateContext): JsonObject {
  const { schema, typeName } = kind;
  const field = schema.find(typeName)?.fields?.get('status');
  const initial = rulesOf(kind).initialStatus?.(object, context);
  if (field === undefined || (initial === undefined && field.absent === 'nothing')) {
    const { status: _status, ...rest } = object;
    return rest;
  }
  return { ...object, status: decodeObject({ schema, typeName: field.type }, initial ?? {}).object };
}
