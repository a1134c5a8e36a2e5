import { limitRange, resourceQuota } from './core/limits.fixture.ts';
import type { RuleTable } from './rule-table.fixture.ts';

/** The tables there are, in the order of docs/validation.md. */
export const ruleTables: readonly RuleTable[] = [limitRange, resourceQuota];
