import { expect, it } from 'vitest';
import { observedCondition } from './observed-condition.ts';

it('a condition is said of the generation that was seen, where there is one', () => {
  const condition = { type: 'DisruptionTarget', status: 'True' };
  expect(observedCondition({ metadata: { generation: 3 } }, condition)).toEqual({
    ...condition,
    observedGeneration: 3,
  });
  expect(observedCondition({}, condition)).toEqual(condition);
});
