import { describe, expect, test } from 'vitest';
import type { ConfigMap } from '#api/generated/objects.ts';
import { silentLogger } from '#base/log.ts';
import { createInformerCache } from '#client/informer.ts';
import { fabricConfigField, followChoice } from './choice.ts';
import { macOfNode, nodeFabricOf, plainFabric, renderNodeFabric, type NodeFabric } from './node-fabric.ts';
import { defaultFabric, parseFabric } from './settings.ts';

test.each([
  ['host-gw', defaultFabric],
  ['host-gw,mtu=9000', { ...defaultFabric, mtu: 9000 }],
  ['vxlan', { kind: 'vxlan', port: 8472, vni: 1, isDirect: false }],
  [
    'vxlan, port=4789, vni=7, mtu=1400, direct-routing=true',
    { kind: 'vxlan', port: 4789, vni: 7, mtu: 1400, isDirect: true },
  ],
  ['udp,direct-routing=false', { kind: 'udp', port: 8285, vni: 1, isDirect: false }],
  ['wireguard', { kind: 'wireguard', port: 51_820, vni: 1, isDirect: false }],
])('parseFabric() takes %s', (text, settings) => expect(parseFabric(text)).toEqual({ settings }));

test.each([
  ['', /is none of host-gw, vxlan, udp, wireguard/],
  ['geneve', /geneve is none of/],
  ['VXLAN', /is none of/],
  ['vxlan,', /: vxlan takes port=…/],
  ['host-gw,port=1', /port=1: host-gw takes mtu=…/],
  ['wireguard,direct-routing=true', /wireguard takes/],
  ['vxlan,port=0', /from 1 to 65535/],
  ['vxlan,port=65536', /from 1 to 65535/],
  ['vxlan,vni=16777216', /from 1 to 16777215/],
  ['vxlan,mtu=1e3', /from 576/],
  ['vxlan,direct-routing=yes', /true or false/],
  ['vxlan,port=1,port=2', /port is said twice/],
  ['vxlan,__proto__=1', /vxlan takes/],
])('parseFabric() refuses %s', (text, problem) =>
  expect(parseFabric(text)).toEqual({ problem: expect.stringMatching(problem) }),
);

const key = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';

describe("a node's annotation", () => {
  const read = (text: string | undefined): NodeFabric | undefined =>
    nodeFabricOf({ metadata: { name: 'n', ...(text && { annotations: { 'podwright/fabric': text } }) } });

  test.each<NodeFabric>([
    plainFabric,
    { kind: 'vxlan', port: 8472, vni: 1, mac: macOfNode('n') },
    { kind: 'host-gw', port: 0, vni: 1, publicKey: key },
  ])('is read as it was written: $kind', (fabric) => expect(read(renderNodeFabric(fabric))).toEqual(fabric));

  test('that is not there is of plain routes', () => expect(read(undefined)).toEqual(plainFabric));

  test.each([
    'vxlan',
    '[]',
    '{}',
    '{"kind":"geneve","port":1,"vni":1}',
    '{"kind":"vxlan","port":65536,"vni":1}',
    '{"kind":"vxlan","port":1.5,"vni":1}',
    '{"kind":"vxlan","port":1,"vni":1,"mac":"02:00"}',
    '{"kind":"wireguard","port":1,"vni":1,"publicKey":"short"}',
    '{"kind":"toString","port":1,"vni":1}',
  ])('that is %s is nothing', (text) => expect(read(text)).toBeUndefined());
});

test('macOfNode() is of one host, locally administered, and of the name alone', () => {
  expect(macOfNode('node-1')).toBe(macOfNode('node-1'));
  expect(macOfNode('node-1')).not.toBe(macOfNode('node-2'));
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
    expect(macOfNode(name)).toMatch(/^.[26ae](:[0-9a-f]{2}){5}$/);
});

test('followChoice() takes the ConfigMap before the option, and what is wrong changes nothing', () => {
  const configMaps = createInformerCache<ConfigMap>((error) => {
    throw error;
  });
  const option = { ...defaultFabric, mtu: 1400 };
  using choice = followChoice(option, configMaps, silentLogger);
  let changes = 0;
  using _watch = choice.onChange(() => (changes += 1));
  const say = (data: Record<string, string> | undefined, version: string): void =>
    configMaps.replace(
      data === undefined
        ? []
        : [
            {
              metadata: { name: 'podwright-fabric', namespace: 'kube-system', resourceVersion: version },
              data,
            },
          ],
      version,
    );
  expect(choice.current()).toEqual({ settings: option, isOption: true });
  say({ [fabricConfigField]: 'vxlan' }, '1');
  expect(choice.current()).toMatchObject({ settings: { kind: 'vxlan' }, isOption: false });
  say({ [fabricConfigField]: 'vlxan' }, '2');
  expect(choice.current()).toMatchObject({
    settings: { kind: 'vxlan' },
    problem: expect.stringMatching(/is none of/),
  });
  say({ other: 'x' }, '3');
  expect(choice.current()).toMatchObject({ settings: { kind: 'vxlan' }, problem: 'it has no fabric' });
  say({ [fabricConfigField]: 'udp' }, '4');
  expect(choice.current()).toEqual({ settings: expect.objectContaining({ kind: 'udp' }), isOption: false });
  say(undefined, '5');
  expect(choice.current()).toEqual({ settings: option, isOption: true });
  expect(changes).toBe(5);
});
