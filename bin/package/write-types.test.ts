import { describe, expect, it } from 'vitest';
import { readDefinitions } from './write-types.ts';

const definition = (name: string): object => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name },
});
const [one, other] = [definition('a.example.com'), definition('b.example.com')].map((each) =>
  JSON.stringify(each),
);
const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [definition('c.example.com')] });

describe('readDefinitions()', () => {
  it.each([
    ['JSON', `${one}`, ['a']],
    ['JSON that begins with a mark of its byte order', `\uFEFF${one}`, ['a']],
    ['YAML that begins with one', `\uFEFF# first\n---\n${one}`, ['a']],
    ['one JSON value after the other', `${one}\n${other}`, ['a', 'b']],
    ['documents, and what is none', `kind: Service\n---\n# nothing\n---\n${one}\n---\n${list}`, ['a', 'c']],
  ])('reads %s', (_, text, want) => {
    const names = readDefinitions(text, 'f').map(({ metadata }) => metadata?.name?.[0]);
    expect(names).toEqual(want);
  });

  it.each([
    ['nothing', '', /^read f: there is no CustomResourceDefinition in it$/],
    ['something else', 'kind: Service', /^read f: there is no CustomResourceDefinition in it$/],
    ['a list', '[]', /^read f, document 1: it is no object$/],
    ['rubbish', 'a: 1\n---\na: [', /^read f, document 2: [^\n]*$/],
  ])('says in a line what is wrong with %s', (_, text, want) => {
    expect(() => readDefinitions(text, 'f')).toThrow(want);
  });
});
