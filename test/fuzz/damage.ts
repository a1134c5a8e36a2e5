/** Damage to files, as disks, people and half-made copies do it. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Small and repeatable random numbers below a bound (mulberry32). */
export type Random = (below: number) => number;

export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Damage = (bytes: Buffer, random: Random, unitBytes: number) => Buffer | 'dropped';

const swap: Damage = (bytes, random, unit) => {
  const units = Math.ceil(usedLength(bytes) / unit);
  if (units < 2) return bytes.subarray(0, 0);
  const [a, b] = [random(units) * unit, random(units) * unit];
  const [first, second] = [
    Buffer.from(bytes.subarray(a, a + unit)),
    Buffer.from(bytes.subarray(b, b + unit)),
  ];
  second.copy(bytes, a);
  first.copy(bytes, b);
  return bytes;
};

/** Up to the last byte that is not zero: what is behind has not been written yet. */
function usedLength(bytes: Buffer): number {
  let length = bytes.length;
  while (length > 1 && bytes[length - 1] === 0) length--;
  return Math.max(1, length);
}

const kinds: Readonly<Record<string, Damage>> = {
  'a bit flipped': (bytes, random) => {
    const at = random(usedLength(bytes));
    if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    return bytes;
  },
  'some bytes changed': (bytes, random) => {
    const [at, count] = [random(usedLength(bytes)), 1 + random(32)];
    for (let i = at; i < Math.min(bytes.length, at + count); i++) bytes[i] = random(256);
    return bytes;
  },
  cut: (bytes, random) => bytes.subarray(0, random(bytes.length + 1)),
  emptied: (bytes) => bytes.subarray(0, 0),
  dropped: () => 'dropped',
  'a page zeroed': (bytes, random, unit) => {
    const at = random(Math.ceil(usedLength(bytes) / unit)) * unit;
    return bytes.fill(0, at, Math.min(bytes.length, at + unit));
  },
  'two pages swapped': swap,
  'a page doubled over another': (bytes, random, unit) => {
    const units = Math.ceil(usedLength(bytes) / unit);
    const [from, to] = [random(units) * unit, random(units) * unit];
    bytes.copyWithin(to, from, from + unit);
    return bytes;
  },
  'bytes appended': (bytes, random) =>
    Buffer.concat([bytes, Buffer.from(Array.from({ length: 1 + random(64) }, () => random(256)))]),
};

/** Damages a file in one way; says which. `unitBytes`: of its pages, or records. */
export function damageFile(path: string, random: Random, unitBytes = 4096): string {
  const names = Object.keys(kinds);
  const name = names[random(names.length)] ?? '';
  if (!existsSync(path)) return 'none: there is no such file';
  const damaged = kinds[name]?.(readFileSync(path), random, unitBytes);
  if (damaged === 'dropped') rmSync(path);
  else if (damaged !== undefined) writeFileSync(path, damaged);
  return `${path}: ${name}`;
}
