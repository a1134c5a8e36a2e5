/** Files that people write by hand: several documents, some of them Lists. */
import { PodwrightError } from '#base/errors.ts';
import { decodeBody, type DecodedBody } from './body.ts';
import { at, isObject, listOf, stringOf } from './json.ts';

/**
 * The documents of a file, without empty ones, and without the byte order mark that an editor may have begun it with. YAML documents end at
 * a line that begins with `---`; JSON values follow one another.
 */
export function splitDocuments(file: string): readonly string[] {
  const text = file.replace(/^\uFEFF/, '');
  const documents = /^\s*\{/.test(text) ? splitJson(text) : text.split(/^---(?:[ \t].*)?\r?$/m);
  return documents.filter((document) => document.replace(/^\s*#.*$/gm, '').trim() !== '');
}

function splitJson(text: string): readonly string[] {
  const documents: string[] = [];
  let [depth, start] = [0, 0];
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') depth += 1;
    else if (token === '}') depth -= 1;
    if (token !== '}' || depth !== 0) continue;
    documents.push(text.slice(start, index + 1));
    start = index + 1;
  }
  return [...documents, text.slice(start)];
}

/** The objects of one document: the members of a List, or the object itself. @throws {E_INVALID} where it does not parse, or is no object */
export function objectsOfDocument(document: string): readonly DecodedBody[] {
  const isJson = /^\s*\{/.test(document);
  const body = decodeBody(Buffer.from(document), isJson ? 'application/json' : 'application/yaml');
  if (!isObject(body.value)) throw new PodwrightError('E_INVALID', 'it is no object');
  if (body.kind?.endsWith('List') !== true) return [body];
  const { duplicateFields } = body;
  return listOf(body.value['items']).map((value) => ({
    value,
    duplicateFields,
    kind: stringOf(at(value, 'kind')) || body.kind?.slice(0, -'List'.length) || '',
    apiVersion: stringOf(at(value, 'apiVersion')) || body.apiVersion || '',
  }));
}
