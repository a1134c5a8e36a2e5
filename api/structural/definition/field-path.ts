import { memberSchema, type StructuralSchema } from '#api/structural/structural-schema.ts';

/** Where a path leads in values of a schema, or why it leads nowhere. */
export type ResolvedPath =
  | { readonly parts: readonly string[]; readonly schema: StructuralSchema }
  | { readonly problem: string };

const nowhere = 'does not refer to a valid field';

/**
 * Follows a path of fields and keys, `.spec.parts.a`, through the schema (apiextensions-apiserver schema/cel ValidFieldPath, without
 * brackets). Lists have no way in. Words are upstream's.
 */
export function resolveFieldPath(path: string, schema: StructuralSchema): ResolvedPath {
  const tokens = tokensOf(path);
  const parts: string[] = [];
  let current = schema;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index];
    if (token === '[') return { problem: 'array notation is not allowed' };
    if (token !== '.') return { problem: `expected [ or . but got: ${token ?? ''}` };
    const name = tokens[++index];
    if (name === undefined) return { problem: 'unexpected end of JSON path' };
    const found = current.properties === undefined ? memberSchema(current) : current.properties.get(name);
    if (found === undefined) return { problem: nowhere };
    current = found;
    parts.push(name);
  }
  return { parts, schema: current };
}

/** Dots, brackets, texts in single quotes, and what is between. */
function tokensOf(path: string): readonly string[] {
  const found = path.match(/'(?:\\.|[^'\\])*'|[.[\]]|[^.[\]']+|'/gs);
  return found ?? [];
}
