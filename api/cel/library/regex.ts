import { functionsOf, type CelFunction, type Cost, type Row } from '#api/cel/eval/function.ts';
import { Fault, numberOf, type Value } from '#api/cel/eval/values.ts';
import { compilePattern, findsPattern, patternProblem } from '#api/structural/pattern.ts';
import { matching } from './costs.ts';

/** Whether it can be compiled. */
export function isPattern(text: string): boolean {
  return patternProblem(text) === undefined;
}

/** Steps of an automaton in the time of one element that is compared (`Budget.strain`). */
const stepsPerElement = 8;

/** Of one walk over the text: at worst each instruction of the pattern is looked at for each character. */
const walkStrain: Cost = ([text = '', pattern = '']) => {
  const regex = compilePattern(String(pattern));
  return typeof regex === 'string' ? 0 : (String(text).length * regex.programSize()) / stepsPerElement;
};

export const matches: Row = [
  (text: Value, pattern: Value): Value => {
    const problem = patternProblem(String(pattern));
    return problem === undefined ? findsPattern(String(pattern), String(text)) : new Fault(problem);
  },
  matching,
  walkStrain,
];

/** Matches of one call: each takes as long as reading many characters. */
const matchesMax = 100_000;
/** Steps of all searches of one call: each may read to the end of the text, of which a short match then shows nothing. */
const searchStepsMax = 80_000_000;

function findAll(text: Value, pattern: Value, limit: number): Value {
  const regex = compilePattern(String(pattern));
  if (typeof regex === 'string') return new Fault(regex);
  const [whole, found, most] = [String(text), [] as string[], limit < 0 ? Infinity : limit];
  const matcher = regex.matcher(whole);
  let steps = 0;
  while (found.length < most && matcher.find()) {
    if (found.length >= matchesMax) return new Fault(`more than ${matchesMax} matches`);
    found.push(matcher.group() ?? '');
    steps += (whole.length - matcher.end()) * regex.programSize();
    if (steps > searchStepsMax) return new Fault('the text is too long for so many matches');
  }
  return found;
}

const matchStrain: Cost = (_, result) => (Array.isArray(result) ? result.length * 50 : 0);

/** Kubernetes' own (apiserver/pkg/cel/library/regex.go). */
const rows: Readonly<Record<string, Row>> = {
  'string.find(string): string': [
    (text, pattern) => {
      const found = findAll(text, pattern, 1);
      return Array.isArray(found) ? (found[0] ?? '') : found;
    },
    matching,
    walkStrain,
  ],
  'string.findAll(string): list(string)': [
    (text, pattern) => findAll(text, pattern, -1),
    matching,
    matchStrain,
  ],
  'string.findAll(string, int): list(string)': [
    (text, pattern, limit) => findAll(text, pattern, numberOf(limit) ?? -1),
    matching,
    matchStrain,
  ],
};

export const regex: readonly CelFunction[] = functionsOf(rows);
