import { parseSignature, type Signature } from '#api/cel/check/signature.ts';

/** What operators take and come to; what they do is eval/operators.ts and compile.ts. Numbers of different kinds may be compared. */
const lines: readonly string[] = [
  '_==_(A, A): bool',
  '_!=_(A, A): bool',
  ...['_<_', '_<=_', '_>_', '_>=_'].flatMap((name) => [
    ...['bool', 'string', 'bytes', 'timestamp', 'duration'].map((type) => `${name}(${type}, ${type}): bool`),
    ...['int', 'uint', 'double'].flatMap((left) =>
      ['int', 'uint', 'double'].map((right) => `${name}(${left}, ${right}): bool`),
    ),
  ]),
  ...['int', 'uint', 'double', 'string', 'bytes', 'duration'].map((type) => `_+_(${type}, ${type}): ${type}`),
  '_+_(list(A), list(A)): list(A)',
  '_+_(timestamp, duration): timestamp',
  '_+_(duration, timestamp): timestamp',
  ...['int', 'uint', 'double', 'duration'].map((type) => `_-_(${type}, ${type}): ${type}`),
  '_-_(timestamp, timestamp): duration',
  '_-_(timestamp, duration): timestamp',
  ...['_*_', '_/_'].flatMap((name) =>
    ['int', 'uint', 'double'].map((type) => `${name}(${type}, ${type}): ${type}`),
  ),
  '_%_(int, int): int',
  '_%_(uint, uint): uint',
  '!_(bool): bool',
  '-_(int): int',
  '-_(double): double',
  '_&&_(bool, bool): bool',
  '_||_(bool, bool): bool',
  '_?_:_(bool, A, A): A',
  '_[_](list(A), int): A',
  '_[_](map(A, B), A): B',
  '_[_](optional_type(list(A)), int): optional_type(A)',
  '_[_](optional_type(map(A, B)), A): optional_type(B)',
  '_[?_](list(A), int): optional_type(A)',
  '_[?_](map(A, B), A): optional_type(B)',
  '_[?_](optional_type(list(A)), int): optional_type(A)',
  '_[?_](optional_type(map(A, B)), A): optional_type(B)',
  '@in(A, list(A)): bool',
  '@in(A, map(A, B)): bool',
  '@not_strictly_false(bool): bool',
  '@append(list(A), A): list(A)',
  '@put(map(A, B), A, B): map(A, B)',
  '@putAll(map(A, B), map(A, B)): map(A, B)',
];

export const operatorSignatures: readonly Signature[] = lines.map(parseSignature);
