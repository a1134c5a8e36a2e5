import { PodwrightError } from '#base/errors.ts';

interface FileResult {
  readonly name: string;
  /** Of the first test's begin and the last one's end, in ms since 1970: without the loading of modules. */
  readonly startTime: number;
  readonly endTime: number;
}

/**
 * The files of a report of vitest's json reporter that took longest, the longest first, a line each.
 * @param root of the names, without a slash at its end
 */
export function renderSlowestFiles(report: string, root: string, countMax = 15): readonly string[] {
  const { testResults } = JSON.parse(report) as { readonly testResults?: readonly FileResult[] };
  if (testResults === undefined)
    throw new PodwrightError('E_INVALID', 'no report of vitest: it has no testResults');
  const timed = testResults.map(({ name, startTime, endTime }) => ({ name, ms: endTime - startTime }));
  const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(6);
  const sum = timed.reduce((total, { ms }) => total + ms, 0);
  return [
    `${seconds(sum)} s in all, by ${timed.length} files`,
    ...timed
      .toSorted((a, b) => b.ms - a.ms || (a.name < b.name ? -1 : 1))
      .slice(0, countMax)
      .map(({ name, ms }) => `${seconds(ms)} s ${name.replace(`${root}/`, '')}`),
  ];
}
