import { describe, expect, it } from 'vitest';
import { findKind, type Kind } from '#api/schema/kinds.ts';
import { atomOf, deduced } from './atom.ts';
import { configFault } from './check-config.ts';
import { exampleType } from './example.fixture.ts';
import { wholesIn } from './merge-into.ts';

const deployments = findKind('apps', 'v1', 'deployments') as Kind;

describe('configFault()', () => {
  it.each([
    [{ a: 'x' }, '.a: expected numeric (int or float), got string'],
    [{ b: 1 }, '.b: expected string, got &value.valueUnstructured{Value:1}'],
    [
      { b: { c: [1, 'd'] } },
      '.b: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"c":[]interface {}{1, "d"}}}',
    ],
    [{ m: ['x'] }, '.m: expected map, got &{[x]}'],
    [{ l: { x: 'y' } }, '.l: expected list, got &{map[x:y]}'],
    [{ l: ['a', 1] }, '.l[1]: expected string, got &value.valueUnstructured{Value:1}'],
    [{ n: { z: 1 } }, '.n.z: field not declared in schema'],
    [{ k: [{ name: 'a' }, { name: 'a' }] }, '.k: duplicate entries for key [name="a"]'],
    [{ k: [{ name: 'a', v: 1 }] }, '.k[name="a"].v: expected string, got &value.valueUnstructured{Value:1}'],
    [
      { k: [{ v: 'x' }] },
      `.k: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn't have default values for any key fields)`,
    ],
    [{ k: [null] }, '.k: element 0: associative list with keys may not have a null element'],
    [{ k: ['x'] }, '.k: element 0: associative list with keys may not have non-map elements'],
    [{ s: ['x', 'x'] }, '.s: duplicate entries for key [="x"]'],
    [{ s: [{}] }, ".s: element 0: associative list without keys has an element that's a map type"],
    [
      { a: true, b: 1 },
      'errors:\n  .a: expected numeric (int or float), got bool\n  .b: expected string, got &value.valueUnstructured{Value:1}',
    ],
    [{ a: null, m: null, k: null, n: null }, undefined],
  ])('of %j', (config, want) => {
    expect(configFault(atomOf(exampleType), config)).toBe(want);
  });

  it('tells no more than a hundred', () => {
    const l = Array.from({ length: 200 }, () => 1);
    expect(configFault(atomOf(exampleType), { l })?.split('\n')).toHaveLength(101);
  });

  it('has nothing to say of what has no schema', () => {
    expect(configFault(deduced, { x: [{ y: [1, {}] }, 'z'] })).toBeUndefined();
  });
});

describe('wholesIn()', () => {
  it('finds what would be set as a whole', () => {
    const spec = {
      replicas: 1,
      selector: { matchLabels: { a: 'b' } },
      template: {
        spec: { nodeSelector: { x: 'y' }, containers: [{ name: 'c', args: ['x'], env: [{ name: 'E' }] }] },
      },
    };
    expect(wholesIn(deployments, { spec })).toEqual([
      '.spec.selector',
      '.spec.template.spec.nodeSelector',
      '.spec.template.spec.containers[0].args',
    ]);
  });
});
