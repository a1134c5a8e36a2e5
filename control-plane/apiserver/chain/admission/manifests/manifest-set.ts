import { createHash } from 'node:crypto';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { validateCreate } from '#api/validation/validation.ts';
import type { DecodedBody } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';

/** Ends the names of all that files bring, and of nothing that is made by the API (KEP-5793). */
export const staticSuffix = '.static.k8s.io';

/** One file of a directory. */
export interface ManifestFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
}

/** All that a directory of manifests says, checked as a whole: a value, replaced by another one. */
export interface ManifestSet {
  /** By resource, in the order of their names. */
  readonly objects: ReadonlyMap<string, readonly JsonObject[]>;
  /** `sha256:…` of the files. */
  readonly hash: string;
}

export const noManifests: ManifestSet = { objects: new Map(), hash: '' };

/**
 * The objects of files, each decoded strictly, defaulted and validated as the API would, and by what holds for manifests alone: they refer to
 * nothing that is only in the API. `kinds` are those that may be there. Pure.
 * @throws {E_INVALID} with the file and what is wrong first
 */
export function readManifests(files: readonly ManifestFile[], kinds: readonly Kind[]): ManifestSet {
  const found = files.flatMap((file) => readFile(file, kinds));
  const paths = new Map<string, string>();
  for (const { kind, name, path } of found) {
    const key = `${kind.resource}/${name}`;
    const earlier = paths.get(key);
    if (earlier !== undefined)
      throw wrong(path, `${kind.kind} ${JSON.stringify(name)} is there twice: in ${earlier}, too`);
    paths.set(key, path);
  }
  for (const { path, name, object } of found) {
    const policyName = at(object, 'spec.policyName');
    if (policyName === undefined || found.some((other) => isPolicy(other.object, policyName))) continue;
    throw wrong(path, `binding ${JSON.stringify(name)}: no file has policy ${JSON.stringify(policyName)}`);
  }
  const sorted = found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const objectsOfKind = ({ resource }: Kind): readonly JsonObject[] =>
    sorted.filter(({ kind }) => kind.resource === resource).map(({ object }) => object);
  return { objects: new Map(kinds.map((kind) => [kind.resource, objectsOfKind(kind)])), hash: hashOf(files) };
}

function isPolicy(object: JsonObject, name: unknown): boolean {
  return at(object, 'spec.policyName') === undefined && at(object, 'metadata.name') === name;
}

interface Found {
  readonly kind: Kind;
  readonly name: string;
  readonly path: string;
  readonly object: JsonObject;
}

function readFile({ path, text }: ManifestFile, kinds: readonly Kind[]): readonly Found[] {
  try {
    return splitDocuments(text)
      .flatMap(objectsOfDocument)
      .map((body) => ({ ...readOne(body, kinds), path }));
  } catch (error) {
    throw wrong(path, describeError(error));
  }
}

function readOne(body: DecodedBody, kinds: readonly Kind[]): Omit<Found, 'path'> {
  const kind = kinds.find((each) => each.kind === body.kind && formatGroupVersion(each) === body.apiVersion);
  if (kind === undefined) {
    const known = kinds.map((each) => `${formatGroupVersion(each)} ${each.kind}`).join(', ');
    throw new PodwrightError('E_INVALID', `${body.apiVersion} ${body.kind} is none of ${known}`);
  }
  const object = applyDefaults(kind, decodeRequest(kind, body, 'Strict').object);
  const name = stringOf(at(object, 'metadata.name'));
  const faults = [...manifestFaults(name, object), ...validateCreate(kind, object).map(renderFieldError)];
  if (faults.length > 0)
    throw new PodwrightError('E_INVALID', `${kind.kind} ${JSON.stringify(name)}: ${faults.join('; ')}`);
  return { kind, name, object };
}

/** What may be in the API, and not in a file. */
function manifestFaults(name: string, object: JsonObject): readonly string[] {
  const { paramKind, paramRef, policyName } = objectOf(object['spec']);
  const isOther = policyName !== undefined && !stringOf(policyName).endsWith(staticSuffix);
  return [
    ...(name.endsWith(staticSuffix) ? [] : [`metadata.name: must end with ${JSON.stringify(staticSuffix)}`]),
    ...(paramKind === undefined ? [] : ['spec.paramKind: is not supported in static manifests']),
    ...(paramRef === undefined ? [] : ['spec.paramRef: is not supported in static manifests']),
    ...(isOther ? [`spec.policyName: must end with ${JSON.stringify(staticSuffix)}`] : []),
    ...objectsOf(object['webhooks']).flatMap((hook, index) =>
      at(hook, 'clientConfig.service') === undefined
        ? []
        : [`webhooks[${index}].clientConfig.service: is not supported in static manifests; give a url`],
    ),
  ];
}

/** Another one wherever a file has another name or text. */
function hashOf(files: readonly ManifestFile[]): string {
  const hash = createHash('sha256');
  for (const { path, text } of files) hash.update(`${path}\0${text}\0`);
  return `sha256:${hash.digest('hex')}`;
}

function wrong(path: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${path}: ${why}`);
}
