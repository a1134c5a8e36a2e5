import { expect, it } from 'vitest';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { byController, orphansFor } from './by-controller.ts';
import { byLabel, selectedIn } from './by-label.ts';

const objects = [{}, { a: 'b' }, { a: 'b', c: 'd' }, { a: 'x' }, { c: 'd' }].flatMap((labels, at) =>
  ['n', 'm'].map((namespace) => ({ metadata: { name: `o${at}`, namespace, labels } })),
);

it.each<readonly [LabelSelector, looked: number]>([
  [{}, 5],
  [{ matchLabels: { a: 'b' } }, 2],
  [{ matchLabels: { c: 'd', a: 'b' } }, 2],
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['b', 'x'] }] }, 5],
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['x'] }] }, 1],
  [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }], matchLabels: { c: 'd' } }, 2],
])('all that %j selects is where the indexes have it', (selector, looked) => {
  const matcher = labelSelectorFromObject(selector);
  const selected = objects.filter(
    ({ metadata }) => metadata.namespace === 'n' && matchesLabels(matcher, metadata.labels),
  );
  const found = objects.filter((object) => byLabel(object).includes(selectedIn('n', matcher)));
  const orphans = objects.filter((object) => byController(object).includes(orphansFor('n', matcher)));
  expect(found).toEqual(expect.arrayContaining(selected));
  expect(found).toHaveLength(looked);
  expect(orphans).toEqual(found);
});
