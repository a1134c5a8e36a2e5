import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { nodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { parseFiltered, parsePriorities, parseVictims } from './extender-wire.ts';

// What kube-scheduler makes of answers (extender.go, findNodesThatPassExtenders, callExtenders).

const podOf = (name: string): Pod => ({ metadata: { name, namespace: 'n', uid: name } });
const [a, b] = ['a', 'b'].map((name) =>
  nodeInfo({ metadata: { name } }, new Map([[`n/${name}1`, podOf(`${name}1`)]])),
);
const asked = [a, b].filter((node) => node !== undefined);
const items = [{ metadata: { name: 'b' } }];

describe('parseFiltered()', () => {
  it.each<readonly [string, object, boolean, readonly string[]]>([
    ['names', { NodeNames: ['a'] }, true, ['a']],
    ['names before nodes, of one that was told names', { NodeNames: ['a'], Nodes: { items } }, true, ['a']],
    ['nodes, of one that was told names', { Nodes: { items } }, true, ['b']],
    ['nodes alone, of one that was told nodes', { NodeNames: ['a'], Nodes: { items } }, false, ['b']],
    ['names alone, of one that was told nodes', { NodeNames: ['a'], Nodes: null }, false, []],
    ['nothing', {}, true, []],
  ])('%s', (_name, answer, isNodeCacheCapable, want) => {
    expect([...parseFiltered(answer, asked, isNodeCacheCapable).passed]).toEqual(want);
  });

  it('of a node that is in both lists, pods need not go', () => {
    const answer = { FailedNodes: { a: 'one', b: 'two' }, FailedAndUnresolvableNodes: { a: 'three' } };
    expect(Object.fromEntries(parseFiltered(answer, asked, true).refused)).toEqual({
      a: { reason: 'three', isHelpedByEviction: false },
      b: { reason: 'two', isHelpedByEviction: true },
    });
  });
});

it('parsePriorities() takes numbers as they are: ten of an extender are a hundred of a plugin', () => {
  const answer = [
    { Host: 'a', Score: 10 },
    { host: 'b', score: 25 },
  ];
  expect([...parsePriorities(answer, 3)]).toEqual([
    ['a', 300],
    ['b', 750],
  ]);
});

describe('parseVictims()', () => {
  const candidates = asked.map((node) => ({ node, victims: [...node.pods.values()], violations: 1 }));
  const one = { Pods: [{ UID: 'a1' }], NumPDBViolations: 2 };
  it.each<readonly [string, object, boolean, readonly string[] | string]>([
    ['as it counts violations', { a: one }, false, ['a: a1, 2']],
    ['without violations', { a: { Pods: [{ UID: 'a1' }] } }, false, ['a: a1, 0']],
    ['nobody of a node', { a: one, b: { Pods: [] } }, false, 'expected at least one victim pod on node "b"'],
    ['nobody of a node, by one that is ignorable', { a: one, b: { Pods: [] } }, true, ['a: a1, 2']],
    ['a pod of another node', { b: one }, true, 'pod "a1" is not found on node b'],
  ])('%s', (_name, byNode, isIgnorable, want) => {
    const parse = (): readonly string[] =>
      parseVictims({ NodeNameToMetaVictims: byNode }, candidates, isIgnorable).map(
        ({ node, victims, violations }) =>
          `${node.name}: ${victims.map(({ metadata }) => metadata?.name).join()}, ${violations}`,
      );
    if (typeof want === 'string') expect(parse).toThrow(want);
    else expect(parse()).toEqual(want);
  });
});
