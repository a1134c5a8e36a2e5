import { join } from 'node:path';

import { repositoryRoot } from '#bin/paths.ts';

/** Where the times of the last run of many files are, for `.ci/run` and for who looks closer. */
export const timesFile: string = join(repositoryRoot, 'build', 'test-times.json');
