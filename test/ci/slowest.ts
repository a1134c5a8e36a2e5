/** `node test/ci/slowest.ts REPORT`: prints which files of tests took longest, so that growth is seen before the time is up. */
import { readFileSync } from 'node:fs';

import { repositoryRoot } from '#bin/paths.ts';
import { renderSlowestFiles } from './slowest-files.ts';

console.log(renderSlowestFiles(readFileSync(process.argv[2] ?? '', 'utf8'), repositoryRoot).join('\n'));
