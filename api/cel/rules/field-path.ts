import { memberSchema, type StructuralSchema } from '#api/structural/structural-schema.ts';

/**
 * A rule's `fieldPath` (`.a.b`, `['x y'].c`) as it stands in messages, without the dot in front; undefined for one that leads nowhere in the
 * schema, or is none (apiextensions-apiserver, ValidFieldPath).
 */
export function readFieldPath(path: string, schema: StructuralSchema): string | undefined {
  const step = /\.([^.[\]]+)|\['((?:[^'\\]|\\.)*)'\]/y;
  let within = schema;
  let read = '';
  for (let at = 0; at < path.length; at = step.lastIndex) {
    step.lastIndex = at;
    const match = step.exec(path);
    if (match === null) return undefined;
    const [, plain, quoted = ''] = match;
    const name = plain ?? unquoted(quoted);
    if (name === undefined) return undefined;
    const next = within.properties === undefined ? memberSchema(within) : within.properties.get(name);
    if (next === undefined) return undefined;
    if (within.properties === undefined) read += `[${name}]`;
    else read += read === '' ? name : `.${name}`;
    within = next;
  }
  return read;
}

const letters: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', "'": "'", '\\': '\\' },
};

function unquoted(text: string): string | undefined {
  let isWrong = false;
  const read = text.replaceAll(/\\(.)/gs, (_, letter: string) => {
    const known = letters[letter];
    if (known === undefined) isWrong = true;
    return known ?? '';
  });
  return isWrong ? undefined : read;
}
