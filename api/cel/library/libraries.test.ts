import { expect, it } from 'vitest';
import { formatType } from '#api/cel/check/cel-type.ts';
import { libraries, libraryFor } from './libraries.ts';

it('functions by the release that brought them are what the golden file says', async () => {
  const lines = libraries
    .toSorted((a, b) => a.since - b.since)
    .flatMap(({ name, since, functions }) => [
      `## ${name}, ${since === 0 ? 'always' : `1.${since}`}`,
      ...functions.map((one) => {
        const [target, ...rest] = one.args.map(formatType);
        const args = one.isMember ? rest : one.args.map(formatType);
        return `${one.isMember ? `${target}.` : ''}${one.name}(${args.join(', ')}): ${formatType(one.result)}`;
      }),
      '',
    ]);
  await expect(lines.join('\n')).toMatchFileSnapshot('golden/functions.txt');
});

it('what is stored may use all, what is new what the release before knows', () => {
  expect([...libraryFor('all').keys()]).toEqual(expect.arrayContaining([...libraryFor('compatible').keys()]));
  expect(libraries.filter(({ since }) => since > 35)).toEqual([]); // 1.36 brought none.
});
