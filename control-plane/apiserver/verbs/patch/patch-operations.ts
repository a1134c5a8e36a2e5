import { isObject, jsonKind } from '#api/wire/json.ts';

const texts: ReadonlySet<string> = new Set(['op', 'path', 'from']);
const unknownMembersMax = 100;

/**
 * What operations of a JSON patch have that none has (jsonPatchOp of apiserver/pkg/endpoints/handlers/patch.go).
 * @throws what `refuse` makes of one that is no object, or has a number where a text is to be
 */
export function operationComplaints(
  operations: readonly unknown[],
  isLax: boolean,
  refuse: (cause: string) => Error,
): readonly string[] {
  const unknownMembers: string[] = [];
  for (const [index, operation] of operations.entries()) {
    if (operation === null) continue;
    if (!isObject(operation)) {
      const goType = isLax ? 'jsonpatch.Operation' : 'handlers.jsonPatchOp';
      throw refuse(`json: cannot unmarshal ${jsonKind(operation)} into Go value of type ${goType}`);
    }
    if (isLax) continue;
    for (const [name, value] of Object.entries(operation)) {
      if (texts.has(name)) {
        if (value === null || typeof value === 'string') continue;
        const field = `Go struct field jsonPatchOp.${name} of type string`;
        throw refuse(`json: cannot unmarshal ${jsonKind(value)} into ${field}`);
      }
      if (name !== 'value' && unknownMembers.length < unknownMembersMax)
        unknownMembers.push(`unknown field "[${index}].${name}"`);
    }
  }
  return unknownMembers;
}
