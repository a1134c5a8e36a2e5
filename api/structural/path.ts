import type { StructuralSchema } from './structural-schema.ts';

/** Where a walk is: names of members, numbers of items. It is changed as the walk goes. */
export type Path = (string | number)[];

/** `spec.parts[0].name`, `spec.places[north].size`; keys of maps that stand as names come as names. */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' || part.startsWith('[') ? part : `.${part}`;
  }
  return text;
}

/** A member in a path of field errors: by its name if the schema has it, by its key if it is one of a map. */
export function memberPart(schema: StructuralSchema, key: string): string {
  return schema.properties?.has(key) === true ? key : `[${key}]`;
}
