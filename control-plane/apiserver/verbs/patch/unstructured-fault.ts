import { at, isObject, stringOf } from '#api/wire/json.ts';

const integers: ReadonlySet<string> = new Set(['int32', 'int64']);

/**
 * What is said of a value of another type where an object is made of a map and not of JSON (apimachinery/pkg/runtime/converter.go). `cause` is
 * what the decoder of JSON says, and `fault` what it knows: the value, and the type that it should have.
 */
export function unstructuredFault(cause: string, fault: unknown): string {
  const type = stringOf(at(fault, 'type'));
  if (type === '') return cause.startsWith('illegal base64') ? `error decoding from json: ${cause}` : cause;
  const value = at(fault, 'value');
  const found = goKindOf(value);
  if (type.startsWith('[]')) return `cannot restore slice from ${found}`;
  if (type.startsWith('map[')) return `cannot restore map from ${found}`;
  // Go converts numbers to texts, and to each other; here it may not.
  const isConvertible =
    (found === 'int64' && type === 'string') || (found === 'float64' && integers.has(type));
  if (isConvertible) return `cannot convert ${found} to ${type}`;
  if (type.includes('.'))
    return type.startsWith('resource.') ? cause : `cannot restore struct from: ${found}`;
  return `unrecognized type: ${type}`;
}

function goKindOf(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (isObject(value)) return 'map';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
