import { expect, it } from 'vitest';
import { LateStatuses, type Behind } from './late.ts';

const pod: Behind = { key: '/registry/pods/n/a', writer: 'node-1', truth: 'running main', said: 'at rest' };
const set: Behind = {
  key: '/registry/replicasets/n/a',
  writer: 'loops',
  truth: 'of 1 pods',
  said: 'of 0 pods',
};
const calm = -Infinity;

it.each([
  {
    name: 'soon',
    looks: [
      [0, pod, calm],
      [30, pod, calm],
    ],
    late: false,
  },
  {
    name: 'after its bound',
    looks: [
      [0, pod, calm],
      [31, pod, calm],
    ],
    late: true,
  },
  {
    name: 'where it was written meanwhile',
    looks: [
      [0, pod, calm],
      [20, undefined, calm],
      [31, pod, calm],
    ],
    late: false,
  },
  {
    name: 'where something else is true now',
    looks: [
      [0, pod, calm],
      [20, { ...pod, truth: 'running other' }, calm],
      [31, { ...pod, truth: 'running other' }, calm],
    ],
    late: false,
  },
  {
    name: 'soon after what hindered its writer',
    looks: [
      [0, pod, calm],
      [100, pod, 80],
    ],
    late: false,
  },
  {
    name: 'long after what hindered its writer',
    looks: [
      [0, pod, calm],
      [111, pod, 80],
    ],
    late: true,
  },
  {
    name: 'while something hinders its writer',
    looks: [
      [0, pod, calm],
      [1000, pod, Infinity],
    ],
    late: false,
  },
  {
    name: 'of a loop, which may have to wait longer',
    looks: [
      [0, set, calm],
      [300, set, calm],
    ],
    late: false,
  },
  {
    name: 'of a loop, after its bound',
    looks: [
      [0, set, calm],
      [301, set, calm],
    ],
    late: true,
  },
] as readonly {
  readonly name: string;
  readonly looks: readonly (readonly [
    atSeconds: number,
    behind: Behind | undefined,
    calmSinceSeconds: number,
  ])[];
  readonly late: boolean;
}[])('a status that is behind is late or not: $name', ({ looks, late }) => {
  const statuses = new LateStatuses();
  const found = looks.map(([seconds, behind, calmSeconds]) =>
    statuses.look(behind === undefined ? [] : [behind], seconds * 1000, () => calmSeconds * 1000),
  );
  expect(found.slice(0, -1).flat()).toEqual([]);
  expect(found.at(-1)).toEqual(late ? [expect.stringMatching(/ says .* and is /)] : []);
});
