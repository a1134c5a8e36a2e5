import { PodwrightError } from '#base/errors.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** Of a schema; upstream's structural schemas have none, etcd's 1.5 MiB of an object bounds them. */
const depthMax = 64;
const lettersMax = 8 * 1_048_576;

/** How a schema is written: what has been, so that it ends. */
interface Rendering {
  letters: number;
  depth: number;
}

/**
 * The TypeScript type of an openAPIV3Schema (structural, apiextensions.k8s.io/v1): what objects look like that a server took. What only
 * validates (oneOf, not, formats, rules) adds nothing; what has no type is `unknown`.
 * @throws {E_LIMIT} deeper than 64, or longer than 8 Mi letters
 */
export function renderSchemaType(schema: unknown, indent = 0): string {
  return typeOf(objectOf(schema), indent, { letters: 0, depth: 0 });
}

function typeOf(schema: JsonObject, indent: number, rendering: Rendering): string {
  if (++rendering.depth > depthMax) throw tooLarge(`deeper than ${depthMax}`);
  const text = baseType(schema, indent, rendering);
  rendering.depth--;
  rendering.letters += text.length;
  if (rendering.letters > lettersMax) throw tooLarge(`longer than ${lettersMax} letters`);
  return schema['nullable'] === true ? `${text} | null` : text;
}

function baseType(schema: JsonObject, indent: number, rendering: Rendering): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'number | string';
  const values = listOf(schema['enum']).filter((value) => !isObject(value) && !Array.isArray(value));
  if (values.length > 0) return values.map((value) => JSON.stringify(value)).join(' | ');
  switch (schema['type']) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      return `readonly ${inBrackets(typeOf(objectOf(schema['items']), indent, rendering))}[]`;
    case 'object':
      return objectType(schema, indent, rendering);
    default:
      return 'unknown';
  }
}

function objectType(schema: JsonObject, indent: number, rendering: Rendering): string {
  const isEmbedded = schema['x-kubernetes-embedded-resource'] === true;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const properties = Object.entries(objectOf(schema['properties'])).filter(
    ([name]) => !isEmbedded || !embeddedFields.has(name),
  );
  const parts = isEmbedded ? ['KubeObject'] : [];
  if (properties.length > 0) parts.push(renderMembers(schema, properties, { indent, rendering }));
  const { additionalProperties } = schema;
  if (isObject(additionalProperties))
    parts.push(`{ readonly [key: string]: ${typeOf(additionalProperties, indent, rendering)} }`);
  else if (isOpen || additionalProperties === true || parts.length === 0)
    parts.push('{ readonly [field: string]: unknown }');
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(' & ')})`;
}

const embeddedFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function renderMembers(
  schema: JsonObject,
  properties: readonly (readonly [string, unknown])[],
  { indent, rendering }: { readonly indent: number; readonly rendering: Rendering },
): string {
  const required = new Set(listOf(schema['required']));
  const space = '  '.repeat(indent + 1);
  const members = properties.map(([name, value]) => {
    const type = typeOf(objectOf(value), indent + 1, rendering);
    const comment = renderComment(stringOf(objectOf(value)['description']), space);
    const field = `readonly ${memberName(name)}`;
    return `${comment}${space}${required.has(name) ? `${field}: ${type}` : `${field}?: ${type} | undefined`};\n`;
  });
  return `{\n${members.join('')}${'  '.repeat(indent)}}`;
}

/** A doc comment of a description, whatever is in it; none of an empty one. */
export function renderComment(description: string, space: string): string {
  const lines = description
    .replaceAll('*/', '*\u2215')
    .split(/[\n\r\u2028\u2029]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0) return '';
  if (lines.length === 1) return `${space}/** ${lines[0]} */\n`;
  return `${space}/**\n${lines.map((line) => `${space} * ${line}\n`).join('')}${space} */\n`;
}

function memberName(name: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : JSON.stringify(name);
}

/** Of a union or an intersection there is an array only in brackets. */
function inBrackets(type: string): string {
  return / [|&] |^readonly /.test(type) ? `(${type})` : type;
}

function tooLarge(why: string): PodwrightError {
  return new PodwrightError('E_LIMIT', `write types of a schema: ${why}`);
}
