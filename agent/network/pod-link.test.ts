import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { parseNetworkConfigList } from '#api/cni/network-config.ts';
import { emptyResult, type CniResult } from '#api/cni/result.ts';
import { renderDefaultConflist } from './conflist-dir.ts';
import { podLinkOf } from './pod-link.ts';

const own = renderDefaultConflist({ podCidrs: ['10.244.0.0/24'], leaseDir: '/leases' });
const result: CniResult = {
  ...emptyResult,
  interfaces: [
    { name: 'cni0', mac: '02:00:00:00:00:01' },
    { name: 'veth1', mac: '02:00:00:00:00:02' },
    { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/netns' },
  ],
  ips: [
    { address: '10.244.0.2/32', interface: 2 },
    { address: 'fd00::2/128', interface: 2 },
  ],
};

const linkOf = (text: string, capabilityArgs: JsonObject = {}, given = result): unknown =>
  podLinkOf({ list: parseNetworkConfigList(text, () => []), result: given, capabilityArgs });

describe('podLinkOf()', () => {
  it("finds the cable of a pod of the node's own network, with host ports or not", () => {
    const want = { ips: ['10.244.0.2', 'fd00::2'], ifname: 'veth1', mac: '02:00:00:00:00:03' };
    expect(linkOf(own)).toEqual(want);
    expect(linkOf(own, { portMappings: [] })).toEqual(want);
  });

  it.each<{ name: string; given: unknown }>([
    { name: 'a bound on its bandwidth', given: linkOf(own, { bandwidth: { ingressRate: 1 } }) },
    { name: 'a bridge that is not routed', given: linkOf(own.replace('"routed": true', '"routed": false')) },
    { name: 'a network of somebody else', given: linkOf(own.replace('"bridge"', '"other"')) },
    { name: 'a plugin behind it that is not known', given: linkOf(own.replace('"portmap"', '"firewall"')) },
    { name: 'no cable', given: linkOf(own, {}, { ...result, interfaces: result.interfaces.slice(2) }) },
    {
      name: 'two ends on the node',
      given: linkOf(own, {}, { ...result, interfaces: [...result.interfaces, { name: 'veth9' }] }),
    },
    { name: 'no address', given: linkOf(own, {}, { ...result, ips: [] }) },
  ])('finds none with $name', ({ given }) => {
    expect(given).toBeUndefined();
  });
});
