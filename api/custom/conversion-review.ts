import { renderFieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatGroupVersion, parseGroupVersion } from '#api/schema/kinds.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';
import { at, isObject, listOf, objectOf, stringOf, type Draft } from '#api/wire/json.ts';

/** Which version of ConversionReview is spoken: the first that the definition names and upstream has. */
export function reviewVersionOf(versions: readonly string[]): 'v1' | 'v1beta1' {
  return versions.find((version) => version === 'v1' || version === 'v1beta1') ?? 'v1';
}

/** What is asked of who converts: all objects at once. */
export interface ConversionQuestion {
  readonly version: 'v1' | 'v1beta1';
  readonly uid: string;
  readonly objects: readonly JsonObject[];
  /** `example.com/v2` */
  readonly apiVersion: string;
}

/** `ConversionReview` of apiextensions.k8s.io. */
export function renderReview({ version, uid, objects, apiVersion }: ConversionQuestion): JsonObject {
  return {
    kind: 'ConversionReview',
    apiVersion: `apiextensions.k8s.io/${version}`,
    request: { uid, desiredAPIVersion: apiVersion, objects },
  };
}

/** `crd.example.com/v1, Kind=Conv`: how failures call what was to be converted. */
export function describeConverted({ objects: [first] }: Pick<ConversionQuestion, 'objects'>): string {
  return `${stringOf(first?.['apiVersion'])}, Kind=${stringOf(first?.['kind'])}`;
}

/** What came of it: as many objects as were given, in their order, or why not, in upstream's words. */
export type Converted =
  | { readonly objects: readonly JsonObject[]; readonly failure?: undefined }
  | { readonly objects?: undefined; readonly failure: string };

/**
 * Reads the answer of who converts (apiextensions-apiserver, pkg/apiserver/conversion/webhook_converter.go). Nothing of the metadata but
 * labels and annotations may become another.
 */
export function readReview(question: ConversionQuestion, answer: unknown): Converted {
  const subject = `conversion webhook for ${describeConverted(question)}`;
  const refusal = refusalOf(question, answer);
  if (refusal !== undefined) return { failure: `${subject} failed: ${refusal}` };
  const converted = listOf(at(answer, 'response.convertedObjects'));
  const { objects } = question;
  if (converted.length !== objects.length) {
    const failure = `${subject} returned ${converted.length} objects, expected ${objects.length}`;
    return { failure };
  }
  const done: JsonObject[] = [];
  for (const [index, original] of objects.entries()) {
    const place = objects.length === 1 ? '' : ` at index ${index}`;
    const given = converted[index];
    const fault = objectFault(question, original, given);
    if (fault !== undefined)
      return { failure: `${subject} returned invalid converted object${place}: ${fault}` };
    const metadata = restoredMetadata(objectOf(original['metadata']), objectOf(given)['metadata']);
    if (typeof metadata === 'string') {
      const where = place === '' ? '' : ` in object${place}`;
      return { failure: `${subject} returned invalid metadata${where}: ${metadata}` };
    }
    done.push({ ...objectOf(given), metadata });
  }
  return { objects: done };
}

/** Why it is no answer to the question, or a refusal. */
function refusalOf({ version, uid }: ConversionQuestion, answer: unknown): string | undefined {
  const { apiVersion, kind, response } = objectOf(answer);
  const wanted = `apiextensions.k8s.io/${version}`;
  if (apiVersion !== wanted || kind !== 'ConversionReview') {
    const name = (group: string, called: string): string => `${group}, Kind=${called}`;
    return `expected webhook response of ${name(wanted, 'ConversionReview')}, got ${name(stringOf(apiVersion), stringOf(kind))}`;
  }
  if (!isObject(response)) return 'no response provided';
  if (response['uid'] !== uid) {
    return `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(stringOf(response['uid']))}`;
  }
  const { status, message } = objectOf(response['result']);
  if (status === 'Success') return undefined;
  return stringOf(message) === ''
    ? `response.result.status was '${stringOf(status)}', not 'Success'`
    : stringOf(message);
}

function objectFault(
  { apiVersion }: ConversionQuestion,
  original: JsonObject,
  converted: unknown,
): string | undefined {
  if (!isObject(converted)) return 'it is no object';
  const got = stringOf(converted['apiVersion']);
  if (got !== apiVersion) {
    const received = formatGroupVersion(parseGroupVersion(got));
    return `invalid groupVersion (expected ${apiVersion}, received ${received})`;
  }
  const same: readonly (readonly [word: string, path: string])[] = [
    ['kind', 'kind'],
    ['name', 'metadata.name'],
    ['namespace', 'metadata.namespace'],
    ['UID', 'metadata.uid'],
  ];
  for (const [word, path] of same) {
    const [was, is] = [stringOf(at(original, path)), stringOf(at(converted, path))];
    if (was !== is) return `must have the same ${word}: ${was} != ${is}`;
  }
  return undefined;
}

const mayChange = { labels: labelErrors, annotations: annotationErrors };

/** The metadata as it was, with labels and annotations as they came; a text says what is wrong with those. */
function restoredMetadata(original: JsonObject, given: unknown): JsonObject | string {
  if (given === undefined) return 'missing metadata in converted object';
  if (!isObject(given)) return `invalid metadata of type ${typeof given} in converted object`;
  const metadata: Draft = { ...original };
  for (const [field, errorsOf] of Object.entries(mayChange)) {
    const value = given[field];
    if (value === undefined || value === null) {
      delete metadata[field];
      continue;
    }
    if (!isObject(value)) return `invalid metadata.${field} of type ${typeof value} in converted object`;
    const odd = Object.keys(value).find((key) => typeof value[key] !== 'string');
    if (odd !== undefined)
      return `metadata.${field}[${odd}] must be a string, but is ${typeof value[odd]} in converted object`;
    const errors = errorsOf(value, `metadata.${field}`);
    if (errors.length > 0)
      return errors.map((error) => `${error.field}: ${renderFieldError(error)}`).join(', ');
    metadata[field] = value;
  }
  return metadata;
}
