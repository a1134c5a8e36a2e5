import { describe, expect, it } from 'vitest';
import { builtInVersions } from '#api/schema/served-version.ts';
import { isObject } from '#api/wire/json.ts';
import { openApiV3Document } from './openapi-v3.ts';

/*
 * A reader that knows the objects of OpenAPI 3.0.3 and their members, and takes no others: as typed clients read a document. What is
 * empty it does not keep, so that a document is the same after reading and writing only if it says nothing twice.
 */
type Read = (value: unknown, at: string) => unknown;

function refuse(at: string, why: string): never {
  throw new Error(`${at}: ${why}`);
}

const text: Read = (value, at) => (typeof value === 'string' && value !== '' ? value : refuse(at, 'no text'));
const flag: Read = (value, at) => (value === true ? value : refuse(at, 'not true, which is the default'));
const any: Read = (value) => value;

const oneOfTexts =
  (...texts: readonly string[]): Read =>
  (value, at) =>
    texts.includes(String(value)) ? value : refuse(at, `not one of ${texts.join(', ')}`);

const listOf =
  (item: Read): Read =>
  (value, at) =>
    Array.isArray(value) && value.length > 0
      ? value.map((one, index) => item(one, `${at}[${index}]`))
      : refuse(at, 'no list, or an empty one');

const mapOf =
  (item: Read): Read =>
  (value, at) => {
    if (!isObject(value)) return refuse(at, 'no map');
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, item(one, `${at}.${key}`)]));
  };

/** Extensions are taken as they are; a member that is required ends in `!`. */
const objectOf =
  (members: Readonly<Record<string, Read>>): Read =>
  (value, at) => {
    if (!isObject(value)) return refuse(at, 'no object');
    for (const name of Object.keys(members)) {
      if (name.endsWith('!') && value[name.slice(0, -1)] === undefined) refuse(at, `no ${name.slice(0, -1)}`);
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => {
        const read = members[name] ?? members[`${name}!`] ?? (name.startsWith('x-') ? any : undefined);
        return [name, read === undefined ? refuse(at, `what is ${name}?`) : read(one, `${at}.${name}`)];
      }),
    );
  };

const schemaMembers: Readonly<Record<string, Read>> = {
  type: oneOfTexts('string', 'number', 'integer', 'boolean', 'array', 'object'),
  format: text,
  description: text,
  default: any,
  enum: listOf(any),
  required: listOf(text),
  uniqueItems: flag,
  nullable: flag,
  properties: (value, at) => mapOf(schema)(value, at),
  additionalProperties: (value, at) => schema(value, at),
  items: (value, at) => schema(value, at),
  allOf: (value, at) => listOf(schema)(value, at),
  oneOf: (value, at) => listOf(schema)(value, at),
};
const reference = objectOf({ '$ref!': text });
const plainSchema = objectOf(schemaMembers);
const schema: Read = (value, at) => {
  if (isObject(value) && typeof value['$ref'] === 'string') return reference(value, at);
  if (isObject(value) && value['type'] === 'array' && value['items'] === undefined) refuse(at, 'no items');
  return plainSchema(value, at);
};
const content = mapOf(objectOf({ schema }));
const parameter = objectOf({
  'name!': text,
  'in!': oneOfTexts('query', 'path', 'header', 'cookie'),
  required: flag,
  description: text,
  'schema!': schema,
});
const operation = objectOf({
  tags: listOf(text),
  description: text,
  'operationId!': text,
  parameters: listOf(parameter),
  requestBody: objectOf({ 'content!': content, required: flag, description: text }),
  'responses!': mapOf(objectOf({ 'description!': text, content })),
});
const pathItem = objectOf({
  ...Object.fromEntries(
    ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'].map((m) => [m, operation]),
  ),
  parameters: listOf(parameter),
});
const document = objectOf({
  'openapi!': oneOfTexts('3.0.0'),
  'info!': objectOf({ 'title!': text, 'version!': text }),
  'paths!': mapOf(pathItem),
  components: objectOf({ schemas: mapOf(schema) }),
});

describe('a strict reader of OpenAPI 3.0', () => {
  it.each(builtInVersions.map((version) => [`${version.group}/${version.version}`, version] as const))(
    'reads %s, and writes the same',
    (_name, version) => {
      const { text: given } = openApiV3Document(version);
      const read = document(JSON.parse(given), '');
      expect(JSON.stringify(read)).toBe(given);
    },
  );

  it.each(builtInVersions.map((version) => [`${version.group}/${version.version}`, version] as const))(
    'finds each name of a path among its parameters: %s',
    (_name, version) => {
      const { paths } = JSON.parse(openApiV3Document(version).text);
      for (const [path, item] of Object.entries<{ parameters?: { name: string; in: string }[] }>(paths)) {
        const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        const known = (item.parameters ?? []).filter((one) => one.in === 'path').map(({ name }) => name);
        expect([path, known.toSorted()]).toEqual([path, named.toSorted()]);
      }
    },
  );
});
