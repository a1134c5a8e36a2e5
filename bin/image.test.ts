import { expect, it } from 'vitest';

import { renderImage } from './image.ts';

const image = {
  id: `sha256:${'0123456789ab'.repeat(5)}0123`,
  names: ['docker.io/t/x:1', 'docker.io/foo/bar:2'],
  digests: ['docker.io/t/x@sha256:aa'],
  sizeBytes: 2 * 1_048_576,
};
const rowOf = (name: string): string => `node-1     ${name.padEnd(56)} 0123456789ab      2.0 MiB`;

it.each([
  { name: 'a row for each name', given: image, want: image.names },
  { name: 'its digest where it has no name', given: { ...image, names: [] }, want: image.digests },
  { name: 'a row where it has neither', given: { ...image, names: [], digests: [] }, want: ['<none>'] },
])('renderImage() gives an image $name', ({ given, want }) => {
  expect(renderImage('node-1', given)).toEqual(want.map(rowOf));
});
