/*
 * Parameters of a query as Kubernetes reads them into the fields of an options object (apimachinery, runtime/conversion.go). Of
 * several of one name the first counts.
 */

/** Whether it is said yes to: only `0` and `false`, of any case, say no. undefined where it is not there. */
export function queryBoolean(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  return text === null ? undefined : text !== '0' && text.toLowerCase() !== 'false';
}

const int64Max = 2n ** 63n - 1n;

/** A whole number, in decimal (strconv.ParseInt); undefined where it is not there. @throws {RangeError} in Go's words */
export function queryInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const fault = (cause: string): RangeError =>
    new RangeError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${cause}`);
  if (!/^[+-]?\d+$/.test(text)) throw fault('invalid syntax');
  const digits = text.replace('+', '');
  if (digits.length > 15 && (BigInt(digits) > int64Max || BigInt(digits) < -int64Max - 1n))
    throw fault('value out of range');
  return Number(digits);
}
