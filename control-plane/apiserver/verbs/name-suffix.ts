import { randomInt } from 'node:crypto';
import { nameSuffixAlphabet } from '#api/strategy/strategy.ts';

/** The five characters of a generated name. */
export function randomSuffix(): string {
  return Array.from({ length: 5 }, () => nameSuffixAlphabet[randomInt(nameSuffixAlphabet.length)]).join('');
}
