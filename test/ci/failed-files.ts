import { PodwrightError } from '#base/errors.ts';

/** The files of a report (vitest's json reporter: `testResults[].status`, `.name`) in which something failed, sorted. */
export function failedFiles(report: string): string[] {
  const { testResults } = JSON.parse(report) as {
    readonly testResults?: readonly { status: string; name: string }[];
  };
  if (testResults === undefined)
    throw new PodwrightError('E_INVALID', 'no report of vitest: it has no testResults');
  return testResults.flatMap(({ status, name }) => (status === 'failed' ? [name] : [])).toSorted();
}
