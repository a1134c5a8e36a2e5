import { choiceRows } from './choice-rows.fixture.ts';
import { endRows } from './end-rows.fixture.ts';
import { policyRows } from './policy-rows.fixture.ts';
import { reachRows } from './reach-rows.fixture.ts';
import { leaveRows } from './leave-rows.fixture.ts';
import type { Row } from './row.fixture.ts';

/** All of the suite, in any order. */
export const rows: readonly Row[] = [...reachRows, ...choiceRows, ...endRows, ...leaveRows, ...policyRows];
