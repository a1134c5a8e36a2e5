import { goValue } from './go-value.ts';

/**
 * How two structs differ, as a message of kube-apiserver tells it since 1.34: a unified diff, with three lines around each change, of their
 * JSON indented by one space (k8s.io/apimachinery pkg/util/diff; seen in errors-observed and apply-observed). `type` as of `goValue`.
 */
export function goDifference(type: string, before: unknown, after: unknown): string {
  return unifiedDifference(
    splitLines(indented(goValue(type, before))),
    splitLines(indented(goValue(type, after))),
  );
}

/** As Go indents what it wrote: what is empty stays on its line. */
function indented(json: string): string {
  let depth = 0;
  const lineOf = (): string => `\n${' '.repeat(depth)}`;
  return json.replaceAll(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}[\],:]/g, (token) => {
    switch (token) {
      case '{':
      case '[':
        depth++;
        return `${token}${lineOf()}`;
      case '}':
      case ']':
        depth--;
        return `${lineOf()}${token}`;
      case ',':
        return `,${lineOf()}`;
      case ':':
        return ': ';
      default:
        return token;
    }
  });
}

function splitLines(text: string): readonly string[] {
  return text.split('\n').map((line) => `${line}\n`);
}

/** Lines that stay: so many from there in the one and from there in the other. */
interface Match {
  readonly before: number;
  readonly after: number;
  readonly length: number;
}

/** What became of lines: those of the one from `before` to `beforeEnd` are those of the other now. */
interface Step {
  readonly isSame: boolean;
  readonly before: number;
  readonly beforeEnd: number;
  readonly after: number;
  readonly afterEnd: number;
}

const contextLines = 3;

/** Lines that are held against each other for one difference, at most: some 50 ms. What takes more is compared from both ends only. */
const comparisonsMax = 1_000_000;

function unifiedDifference(before: readonly string[], after: readonly string[]): string {
  const matches = longestMatches(before, after) ?? matchesOfEnds(before, after);
  return hunksOf(stepsOf(matches, before.length, after.length))
    .map((hunk) => renderHunk(hunk, before, after))
    .join('');
}

function renderHunk(steps: readonly Step[], before: readonly string[], after: readonly string[]): string {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) return '';
  const lines = steps.flatMap((step) => {
    const old = before.slice(step.before, step.beforeEnd);
    if (step.isSame) return old.map((line) => ` ${line}`);
    const given = after.slice(step.after, step.afterEnd);
    return [...old.map((line) => `-${line}`), ...given.map((line) => `+${line}`)];
  });
  const ranges = `-${rangeText(first.before, last.beforeEnd)} +${rangeText(first.after, last.afterEnd)}`;
  return `@@ ${ranges} @@\n${lines.join('')}`;
}

/** Lines count from one; nothing is told by the line before it. */
function rangeText(start: number, end: number): string {
  const length = end - start;
  if (length === 1) return String(start + 1);
  return `${length === 0 ? start : start + 1},${length}`;
}

/** The steps near changes, those that are near each other together. */
function hunksOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const hunks: Step[][] = [[]];
  steps.forEach((step, index) => {
    const { isSame, before, beforeEnd, after, afterEnd } = step;
    if (!isSame) {
      hunks.at(-1)?.push(step);
      return;
    }
    const [isFirst, isLast] = [index === 0, index === steps.length - 1];
    const length = beforeEnd - before;
    const head = Math.min(length, isFirst ? 0 : contextLines);
    const tail = Math.min(length, isLast ? 0 : contextLines);
    if (!isFirst && !isLast && length <= 2 * contextLines) {
      hunks.at(-1)?.push(step);
      return;
    }
    if (head > 0) hunks.at(-1)?.push({ ...step, beforeEnd: before + head, afterEnd: after + head });
    if (!isFirst) hunks.push([]);
    if (tail > 0) hunks.at(-1)?.push({ ...step, before: beforeEnd - tail, after: afterEnd - tail });
  });
  return hunks.filter((hunk) => hunk.some(({ isSame }) => !isSame));
}

function stepsOf(matches: readonly Match[], beforeLength: number, afterLength: number): readonly Step[] {
  const steps: Step[] = [];
  let [before, after] = [0, 0];
  for (const match of [...matches, { before: beforeLength, after: afterLength, length: 0 }]) {
    const [beforeEnd, afterEnd] = [match.before, match.after];
    if (before < beforeEnd || after < afterEnd)
      steps.push({ isSame: false, before, beforeEnd, after, afterEnd });
    [before, after] = [beforeEnd + match.length, afterEnd + match.length];
    if (match.length > 0)
      steps.push({ isSame: true, before: beforeEnd, beforeEnd: before, after: afterEnd, afterEnd: after });
  }
  return steps;
}

function matchesOfEnds(before: readonly string[], after: readonly string[]): readonly Match[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  return [
    { before: 0, after: 0, length: head },
    { before: before.length - tail, after: after.length - tail, length: tail },
  ].filter(({ length }) => length > 0);
}

/**
 * The longest run of lines that both have, then the longest ones before and after it, and so on (Python's difflib, which Go's is made
 * after). Undefined: that takes too long.
 */
function longestMatches(before: readonly string[], after: readonly string[]): readonly Match[] | undefined {
  const texts: Texts = { before, after, places: placesOf(after) };
  const matches: Match[] = [];
  const open: Range[] = [{ low: [0, 0], high: [before.length, after.length] }];
  let left = comparisonsMax;
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const { low, high } = range;
    const { match, comparisons } = longestMatch(texts, range);
    left -= comparisons;
    if (left < 0) return undefined;
    if (match.length === 0) continue;
    matches.push(match);
    const ends = [match.before + match.length, match.after + match.length] as const;
    if (low[0] < match.before && low[1] < match.after) open.push({ low, high: [match.before, match.after] });
    if (ends[0] < high[0] && ends[1] < high[1]) open.push({ low: ends, high });
  }
  return joined(matches.toSorted((a, b) => a.before - b.before));
}

function joined(matches: readonly Match[]): readonly Match[] {
  const runs: Match[] = [];
  for (const match of matches) {
    const last = runs.at(-1);
    const isNext =
      last !== undefined &&
      last.before + last.length === match.before &&
      last.after + last.length === match.after;
    if (isNext) runs[runs.length - 1] = { ...last, length: last.length + match.length };
    else runs.push(match);
  }
  return runs;
}

/** Where each line is; in long texts those that are in many places say nothing of what belongs together. */
function placesOf(lines: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  lines.forEach((line, index) => {
    const known = places.get(line);
    if (known === undefined) places.set(line, [index]);
    else known.push(index);
  });
  const often = Math.trunc(lines.length / 100) + 1;
  if (lines.length >= 200) {
    for (const [line, found] of places) if (found.length > often) places.delete(line);
  }
  return places;
}

interface Texts {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly places: ReadonlyMap<string, readonly number[]>;
}

/** Lines of both texts, from `low` to before `high`: of the one, of the other. */
interface Range {
  readonly low: readonly [number, number];
  readonly high: readonly [number, number];
}

function longestMatch(
  { before, after, places }: Texts,
  { low, high }: Range,
): { readonly match: Match; readonly comparisons: number } {
  let best: Match = { before: low[0], after: low[1], length: 0 };
  let lengths: ReadonlyMap<number, number> = new Map();
  let comparisons = 0;
  for (let index = low[0]; index < high[0]; index++) {
    const next = new Map<number, number>();
    const found = places.get(before[index] ?? '') ?? [];
    comparisons += 1 + found.length;
    for (const place of found) {
      if (place < low[1] || place >= high[1]) continue;
      const length = (lengths.get(place - 1) ?? 0) + 1;
      next.set(place, length);
      if (length > best.length) best = { before: index + 1 - length, after: place + 1 - length, length };
    }
    lengths = next;
  }
  let { before: from, after: to, length } = best;
  // Lines that are in many places belong to it where they are beside it.
  while (from > low[0] && to > low[1] && before[from - 1] === after[to - 1]) {
    [from, to, length] = [from - 1, to - 1, length + 1];
  }
  while (from + length < high[0] && to + length < high[1] && before[from + length] === after[to + length])
    length++;
  return { match: { before: from, after: to, length }, comparisons };
}
