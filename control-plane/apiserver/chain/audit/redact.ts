import { isObject } from '#api/wire/json.ts';

/** What stands in the place of what nobody may read in a record. */
export const redacted = 'REDACTED';

/** Holds the whole object a second time. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * A body without what is secret in it: wherever a member has one of these names, its text, or each value within. The names of the keys stay. Pure.
 * It is looked for at any depth: a body may be an object, a list, a table or a patch.
 */
export function redactBody(body: unknown, secretFields: readonly string[]): unknown {
  return secretFields.length === 0 ? body : withoutSecrets(body, new Set([...secretFields, lastApplied]));
}

function withoutSecrets(value: unknown, secret: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => withoutSecrets(item, secret));
  if (!isObject(value)) return value;
  const isOfJsonPatch = typeof value['op'] === 'string' && typeof value['path'] === 'string';
  const kept: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const isSecret = secret.has(name) || (isOfJsonPatch && name === 'value');
    Object.defineProperty(kept, name, {
      value: isSecret ? hide(member) : withoutSecrets(member, secret),
      enumerable: true,
    });
  }
  return kept;
}

function hide(value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map(hide);
  if (!isObject(value)) return redacted;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hide(member)]));
}

/** A body without `metadata.managedFields`, of the object or of each in a list (omitManagedFields of a policy). Pure. */
export function withoutManagedFields(body: unknown): unknown {
  if (!isObject(body)) return body;
  const { metadata, items, rows } = body;
  return {
    ...body,
    ...(isObject(metadata) ? { metadata: withoutManaged(metadata) } : {}),
    ...(Array.isArray(items) ? { items: items.map(withoutManagedFields) } : {}),
    ...(Array.isArray(rows)
      ? {
          rows: rows.map((row: unknown) =>
            isObject(row) && isObject(row['object'])
              ? { ...row, object: withoutManagedFields(row['object']) }
              : row,
          ),
        }
      : {}),
  };
}

function withoutManaged(metadata: Readonly<Record<string, unknown>>): object {
  const { managedFields: _gone, ...rest } = metadata;
  return rest;
}
