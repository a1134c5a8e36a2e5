/** A number as Go's `%v` shows a float64: with an exponent of two digits below 1e-4 and from 1e21 on. */
export function goFloat(value: number): string {
  const size = Math.abs(value);
  const text = size !== 0 && size < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}
