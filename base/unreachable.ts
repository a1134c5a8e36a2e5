/** Marks the default of an exhaustive switch: a new alternative becomes a compile error here. */
export function unreachable(value: never): never {
  throw new TypeError(`unreachable: ${JSON.stringify(value)}`);
}
