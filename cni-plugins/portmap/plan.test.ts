import { describe, expect, it } from 'vitest';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseResult } from '#api/cni/result.ts';
import { renderTable } from '#native/nft/render.ts';
import { madePortMappings, parsePortMappings, parsePortRule, planPortmap, portmapTable } from './plan.ts';

const mapping = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };
const made = { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: undefined, family: undefined };

/** What pods have asked for, whether an API let it through or not: given, what ADD says, what DEL takes for made. */
const rows: readonly {
  readonly name: string;
  readonly item: object;
  readonly add: readonly object[] | string;
}[] = [
  { name: 'any address', item: mapping, add: [made] },
  { name: 'all of IPv4', item: { ...mapping, hostIP: '0.0.0.0' }, add: [{ ...made, family: 4 }] },
  { name: 'all of IPv6', item: { ...mapping, hostIP: '::' }, add: [made] },
  {
    name: 'one address',
    item: { ...mapping, hostIP: '127.0.0.1' },
    add: [{ ...made, hostIp: '127.0.0.1', family: 4 }],
  },
  {
    name: 'an IPv6 address',
    item: { ...mapping, hostIP: 'FD00::1' },
    add: [{ ...made, hostIp: 'fd00::1', family: 6 }],
  },
  { name: 'a mapped address', item: { ...mapping, hostIP: '::ffff:127.0.0.1' }, add: [] },
  { name: 'no port of the host', item: { ...mapping, hostPort: 0 }, add: [] },
  { name: 'a name', item: { ...mapping, hostIP: 'x' }, add: 'host address x is not an IP address' },
  { name: 'a port too high', item: { ...mapping, hostPort: 65_536 }, add: 'is not a port mapping' },
  { name: 'half a port', item: { ...mapping, containerPort: 1.5 }, add: 'is not a port mapping' },
  { name: 'another protocol', item: { ...mapping, protocol: 'icmp' }, add: 'is not a port mapping' },
];

function configOf(...portMappings: readonly object[]): PluginConfig {
  return { type: 'portmap', runtimeConfig: { portMappings } };
}

describe('host ports', () => {
  it.each(rows)('of $name', ({ item, add }) => {
    const config = configOf(item);
    if (typeof add === 'string') {
      expect(() => parsePortMappings(config)).toThrow(add);
      expect(madePortMappings(config)).toEqual([]);
    } else {
      expect(parsePortMappings(config)).toEqual(add);
      expect(madePortMappings(config)).toEqual(add);
    }
  });

  it('DEL knows those beside one that is none', () => {
    expect(madePortMappings(configOf({ ...mapping, hostIP: 'x' }, mapping))).toEqual([made]);
  });

  it.each([
    { name: 'both', ips: ['10.0.0.5/32', 'fd00::5/128'], want: ['ip 10.0.0.5', 'ip6 fd00::5'] },
    { name: 'IPv4', ips: ['10.0.0.5/32'], want: ['ip 10.0.0.5'] },
    { name: 'IPv6', ips: ['fd00::5/128'], want: ['ip6 fd00::5'] },
    { name: 'IPv6, of a host address of IPv4', ips: ['fd00::5/128'], hostIP: '127.0.0.1', want: [] },
    {
      name: 'both, of a host address of IPv6',
      ips: ['10.0.0.5/32', 'fd00::5/128'],
      hostIP: 'fd00::1',
      want: ['ip6 fd00::5'],
    },
  ])('lead to a container of $name', ({ ips, hostIP = '', want }) => {
    const result = parseResult({ cniVersion: '1.1.0', ips: ips.map((address) => ({ address })) });
    const plans = planPortmap(parsePortMappings(configOf({ ...mapping, hostIP })), result);
    expect(plans.map(({ table, sets }) => `${table.family} ${sets.at(-1)?.elements[0]?.key[0]}`)).toEqual(
      want,
    );
  });

  it.each([
    { name: 'no word of it', more: {}, want: [] },
    { name: 'masqAll', more: { masqAll: true }, want: ['10.0.0.5 6 80', '10.0.0.5 17 53'] },
    { name: 'masqAll without snat', more: { masqAll: true, snat: false }, want: [] },
  ])('change the source of all that comes by them: $name', ({ more, want }) => {
    const config = {
      ...configOf(
        mapping,
        { ...mapping, hostPort: 8081 },
        { hostPort: 53, containerPort: 53, protocol: 'udp' },
      ),
      ...more,
    };
    const result = parseResult({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.5/32' }] });
    const plans = planPortmap(parsePortMappings(config), result, parsePortRule(config));
    const elements = plans.flatMap(({ areOwn, sets }) => (areOwn ? sets : [])).flatMap((set) => set.elements);
    expect(elements.map(({ key }) => key.join(' '))).toEqual(want);
  });

  it('are refused for a container without an address', () => {
    const result = parseResult({ cniVersion: '1.1.0' });
    expect(() => planPortmap(parsePortMappings(configOf(mapping)), result)).toThrow('has no address');
  });

  it('of IPv6 leave out the loopback, from which no packet gets to a container', () => {
    const text = renderTable(portmapTable(6));
    expect(text).toContain('ip6 daddr != ::1');
  });
});
