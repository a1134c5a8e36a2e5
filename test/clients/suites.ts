/** All suites of the lane, those that take longest first. */
import { curlSuite } from './curl/suite.ts';
import { helmSuites } from './helm/suite.ts';
import { kubectlSuites } from './kubectl/suites.ts';
import { nodeSuite } from './node/suite.ts';
import type { Programs } from './programs.ts';
import { pythonSuite } from './python/suite.ts';
import type { Suite } from './suite.ts';

export function suitesOf(programs: Programs): readonly Suite[] {
  return [
    ...helmSuites(programs),
    ...kubectlSuites(programs),
    pythonSuite(programs),
    nodeSuite(programs),
    curlSuite(programs),
  ];
}
