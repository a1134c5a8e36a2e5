import { invalid, ruleAt, says } from './row.fixture.ts';
import type { RuleTable } from './rule-table.fixture.ts';

/** What is posted to an object, or put in its place, and is stored as no object of its own. */
const seconds = 'spec.expirationSeconds';

export const tokenRequest: RuleTable = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenRequest',
  base: { spec: {} },
  rows: [
    ruleAt(
      seconds,
      'ten minutes at least',
      { passes: 600, fails: 599 },
      invalid(599, 'may not specify a duration less than 10 minutes'),
    ),
    ruleAt(
      seconds,
      'at most 2^32',
      { passes: 2 ** 32, fails: 2 ** 32 + 1 },
      invalid(2 ** 32 + 1, 'may not specify a duration larger than 2^32 seconds'),
    ),
  ],
  none: {
    'names that a token is for': ['spec.audiences'],
    'looked for: 400, 404 or 409 (control-plane/apiserver/subresources)': ['spec.boundObjectRef.*'],
  },
};

export const eviction: RuleTable = {
  apiVersion: 'policy/v1',
  kind: 'Eviction',
  base: {},
  rows: [],
  none: { 'as of a DELETE, when the pod is deleted (control-plane/apiserver/verbs)': ['deleteOptions.*'] },
};

export const scale: RuleTable = {
  apiVersion: 'autoscaling/v1',
  kind: 'Scale',
  base: { spec: {} },
  rows: [ruleAt('spec.replicas', 'not negative', { passes: 0, fails: -1 }, invalid(-1, says.notNegative))],
};
