import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { NumberLiterals } from '#api/schema/type-source.ts';
import { isObject } from './json.ts';
import { parseJsonStrict } from './parse-json.ts';
import { decodeProtobufBody, protobufMediaType } from './protobuf.ts';
import { badRequest, unsupportedMediaType } from '#api/errors/status.ts';
import { parseYaml } from './yaml.ts';

export { encodeYaml } from './yaml.ts';

/** A request body as a JSON value. */
export interface DecodedBody {
  readonly value: unknown;
  /** Members given twice: `spec.replicas`. */
  readonly duplicateFields: readonly string[];
  readonly literals?: NumberLiterals | undefined;
  readonly apiVersion?: string;
  readonly kind?: string;
}

/**
 * Decodes a body by its content type: JSON (also when there is none), YAML, protobuf.
 * @throws {E_API} 415 for another content type
 * @throws {E_INVALID} when it does not parse
 */
export function decodeBody(bytes: Uint8Array, contentType: string | undefined): DecodedBody {
  const mediaType = mediaTypeOf(contentType);
  switch (mediaType) {
    case '':
    case '*/*':
    case 'application/json':
      return withTypeMeta(parseJsonStrict(textOf(bytes)));
    case 'application/yaml':
    case 'application/apply-patch+yaml':
    case 'text/yaml':
      return withTypeMeta(parseYaml(new TextDecoder().decode(bytes)));
    case protobufMediaType:
      return withTypeMeta({ value: decodeProtobufBody(bytes), duplicateFields: [] });
    default:
      throw unsupportedMediaType();
  }
}

/** `decodeBody`, with what does not parse answered as the API does: 400 naming the kind that was expected. */
export function decodeBodyOf(kind: string, bytes: Uint8Array, contentType: string | undefined): DecodedBody {
  try {
    return decodeBody(bytes, contentType);
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    const start = textOf(bytes.subarray(0, 512));
    const cause =
      mediaTypeOf(contentType) === protobufMediaType
        ? error.message
        : `couldn't get version/kind; json parse error: ${error.message} (${start})`;
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${cause}`);
  }
}

/** `application/json` of `Application/JSON; charset=utf-8`. */
export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** With its byte order mark, which JSON may not have. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function withTypeMeta(body: Pick<DecodedBody, 'value' | 'duplicateFields' | 'literals'>): DecodedBody {
  if (!isObject(body.value)) return body;
  const { apiVersion, kind } = body.value;
  const isText = (value: unknown): value is string | undefined =>
    value === undefined || typeof value === 'string';
  if (!isText(apiVersion ?? undefined) || !isText(kind ?? undefined)) {
    throw new PodwrightError('E_INVALID', 'apiVersion and kind must be strings');
  }
  return {
    ...body,
    ...(typeof apiVersion === 'string' && apiVersion !== '' ? { apiVersion } : {}),
    ...(typeof kind === 'string' && kind !== '' ? { kind } : {}),
  };
}
