import { PodwrightError } from '#base/errors.ts';

/** What one file of tests took, in ms. */
export interface FileTimes {
  /** Relative to the repository. */
  readonly name: string;
  readonly project: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly tests: number;
  /** Since the run's begin: when its worker began to load it, and when its last hook ended. */
  readonly beginMs: number;
  readonly wallMs: number;
  /** Processor time of the process that ran it, and of the processes which that waited for. */
  readonly workerMs: number;
  readonly childrenMs: number;
}

export interface RunTimes {
  readonly wallMs: number;
  /** Of the machine's processors, whoever used them: 0 to 1. */
  readonly idleShare: number;
  readonly files: readonly FileTimes[];
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(7);

function line(wallMs: number, { workerMs, childrenMs }: { workerMs: number; childrenMs: number }): string {
  return `${seconds(wallMs)} ${seconds(workerMs)} ${seconds(childrenMs)}`;
}

/** The files that took longest, a line each, and what all took: where a run's time went. Pure. */
export function renderTimes({ wallMs, idleShare, files }: RunTimes, countMax = 10): readonly string[] {
  const sum = (of: (file: FileTimes) => number, some = files): number =>
    some.reduce((total, file) => total + of(file), 0);
  const projects = [...new Set(files.map(({ project }) => project))].toSorted();
  const totals = projects.map((project) => {
    const own = files.filter((file) => file.project === project);
    const times = {
      workerMs: sum((file) => file.workerMs, own),
      childrenMs: sum((file) => file.childrenMs, own),
    };
    return `${line(
      sum((file) => file.wallMs, own),
      times,
    )}  all ${own.length} files of ${project}`;
  });
  return [
    'seconds: wall, processor, and that of its children',
    ...files
      .toSorted((a, b) => b.wallMs - a.wallMs || (a.name < b.name ? -1 : 1))
      .slice(0, countMax)
      .map((file) => `${line(file.wallMs, file)}  ${file.name}`),
    ...totals,
    `${seconds(wallMs)} in all; the processors were idle for ${(idleShare * 100).toFixed(0)} % of it`,
  ];
}

/**
 * The files in which something failed, sorted, of a run's times as `npm test` leaves them in build/test-times.json.
 * @throws {E_INVALID} what is none
 */
export function failedFiles(times: string): readonly string[] {
  const { files } = JSON.parse(times) as Partial<RunTimes>;
  if (files === undefined) throw new PodwrightError('E_INVALID', 'no times of a run: it has no files');
  return files.flatMap(({ status, name }) => (status === 'failed' ? [name] : [])).toSorted();
}
