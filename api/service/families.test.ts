import { describe, expect, it } from 'vitest';
import { objectOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { IpFamily } from '#base/ip.ts';
import { withServiceAllocation, serviceNeeds } from './allocation.ts';
import { settleFamilies } from './families.ts';
import { keepServiceAllocations } from './kept-allocation.ts';

const selector = { a: 'e' };
const given: Readonly<Record<string, string>> = { IPv4: '10.96.0.7', IPv6: 'fd00::7' };

/** What becomes of a Service in a cluster: its addresses, families and policy; or what is said of it. */
function settled(spec: object, cluster: readonly IpFamily[], before?: object): string {
  const old = before && { spec: { type: 'ClusterIP', ...before } };
  const wanted = { spec: { type: 'ClusterIP', ...spec } };
  const asked = old === undefined ? wanted : keepServiceAllocations(old, wanted);
  const { service, errors } = settleFamilies(asked, old, cluster);
  if (errors.length > 0) return errors.map(({ field, detail }) => `${field}: ${detail}`).join('; ');
  const clusterIps = serviceNeeds(service).clusterIps.map((family) => given[family] ?? '');
  return textOf(withServiceAllocation(service, { clusterIps }));
}

function textOf(service: JsonObject): string {
  const { clusterIPs, ipFamilies, ipFamilyPolicy } = objectOf(service['spec']);
  return `${String(clusterIPs)} ${String(ipFamilies)} ${String(ipFamilyPolicy)}`;
}

const both = { ipFamilies: ['IPv4', 'IPv6'] };
const dual = { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7', 'fd00::7'], ...both };
const preferring = { ...dual, ipFamilyPolicy: 'PreferDualStack', selector };
const single = {
  clusterIP: '10.96.0.7',
  clusterIPs: ['10.96.0.7'],
  ipFamilies: ['IPv4'],
  ipFamilyPolicy: 'SingleStack',
  selector,
};

describe('settleFamilies() of a new Service', () => {
  // Those of both families as kube-apiserver 1.36.2 answered (shared/data/loops-observed, section 8).
  it.each<readonly [name: string, cluster: readonly IpFamily[], spec: object, want: string]>([
    ['says nothing', [4, 6], { selector }, '10.96.0.7 IPv4 SingleStack'],
    ['says nothing, IPv6 first', [6, 4], { selector }, 'fd00::7 IPv6 SingleStack'],
    [
      'prefers both',
      [4, 6],
      { selector, ipFamilyPolicy: 'PreferDualStack' },
      '10.96.0.7,fd00::7 IPv4,IPv6 PreferDualStack',
    ],
    [
      'prefers both, of which there is one',
      [6],
      { selector, ipFamilyPolicy: 'PreferDualStack' },
      'fd00::7 IPv6 PreferDualStack',
    ],
    [
      'requires both, IPv6 first',
      [4, 6],
      { selector, ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6', 'IPv4'] },
      'fd00::7,10.96.0.7 IPv6,IPv4 RequireDualStack',
    ],
    ['is of IPv6', [4, 6], { selector, ipFamilies: ['IPv6'] }, 'fd00::7 IPv6 SingleStack'],
    ['names an address', [4, 6], { selector, clusterIP: 'fd00::9' }, 'fd00::9 IPv6 SingleStack'],
    [
      'names an address and wants both',
      [4, 6],
      { selector, clusterIP: 'fd00::9', ipFamilyPolicy: 'RequireDualStack' },
      'fd00::9,10.96.0.7 IPv6,IPv4 RequireDualStack',
    ],
    ['is headless', [4, 6], { selector, clusterIP: 'None' }, 'None IPv4 SingleStack'],
    ['has endpoints of others', [4, 6], { clusterIP: 'None' }, 'None IPv4,IPv6 RequireDualStack'],
    ['has endpoints of others, of one family', [4], { clusterIP: 'None' }, 'None IPv4,IPv6 RequireDualStack'],
    [
      'has endpoints of others, of another',
      [4],
      { clusterIP: 'None', ipFamilies: ['IPv6'] },
      'None IPv6,IPv4 RequireDualStack',
    ],
    [
      'names two families and no policy',
      [4, 6],
      both,
      "spec.ipFamilyPolicy: must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    ],
    [
      'names two addresses and no first one',
      [4, 6],
      { ipFamilyPolicy: 'PreferDualStack', clusterIPs: ['10.96.7.7', 'fd00::77'] },
      'spec.clusterIPs: must be empty when `clusterIP` is not specified',
    ],
    [
      'names two addresses of one family',
      [4, 6],
      { ipFamilyPolicy: 'PreferDualStack', clusterIP: '10.96.7.7', clusterIPs: ['10.96.7.7', '10.96.7.8'] },
      'spec.clusterIPs: may specify no more than one IP for each IP family',
    ],
    [
      'requires both, of which there is one',
      [4],
      { ipFamilyPolicy: 'RequireDualStack' },
      'spec.ipFamilyPolicy: this cluster is not configured for dual-stack services',
    ],
    [
      'is of a family that is not there',
      [4],
      { ipFamilies: ['IPv6'] },
      'spec.ipFamilies[0]: not configured on this cluster',
    ],
    [
      'is headless and of a family that is not there',
      [4],
      { clusterIP: 'None', selector, ipFamilies: ['IPv6'] },
      'spec.ipFamilies[0]: not configured on this cluster',
    ],
    ['has another name', [4], { type: 'ExternalName', ipFamilies: ['IPv6'] }, 'undefined IPv6 undefined'],
  ])('%s', (_name, cluster, spec, want) => expect(settled(spec, cluster)).toBe(want));
});

describe('settleFamilies() of a Service that changes', () => {
  it.each<readonly [name: string, before: object, spec: object, want: string]>([
    [
      'to both',
      single,
      { ...single, ipFamilyPolicy: 'PreferDualStack' },
      '10.96.0.7,fd00::7 IPv4,IPv6 PreferDualStack',
    ],
    [
      'to one, by a word',
      preferring,
      { ...preferring, ipFamilyPolicy: 'SingleStack' },
      '10.96.0.7 IPv4 SingleStack',
    ],
    [
      'to one, by all words',
      preferring,
      { ...preferring, ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'], clusterIPs: ['10.96.0.7'] },
      '10.96.0.7 IPv4 SingleStack',
    ],
    ['and says nothing of them', preferring, { selector }, '10.96.0.7,fd00::7 IPv4,IPv6 PreferDualStack'],
    ['and says nothing of its one', single, { selector }, '10.96.0.7 IPv4 SingleStack'],
    [
      'to fewer without the word',
      preferring,
      { ...preferring, ipFamilies: ['IPv4'] },
      "spec.ipFamilyPolicy: must be 'SingleStack' to release the secondary IP family",
    ],
    [
      'its first family',
      preferring,
      { ...preferring, ipFamilies: ['IPv6', 'IPv4'] },
      'spec.clusterIPs[0]: expected an IPv6 value as indicated by `ipFamilies[0]`; spec.clusterIPs[1]: expected an IPv4 value as indicated by `ipFamilies[1]`',
    ],
    [
      'from another name',
      { type: 'ExternalName', externalName: 'x.example.com' },
      { selector, ipFamilyPolicy: 'PreferDualStack' },
      '10.96.0.7,fd00::7 IPv4,IPv6 PreferDualStack',
    ],
  ])('%s', (_name, before, spec, want) => expect(settled(spec, [4, 6], before)).toBe(want));

  it('gains no family because the cluster did, and loses none because the cluster did', () => {
    const preferringOne = { ...single, ipFamilyPolicy: 'PreferDualStack' };
    expect(settled(preferringOne, [4, 6], preferringOne)).toBe('10.96.0.7 IPv4 PreferDualStack');
    expect(settled(preferring, [4], preferring)).toBe('10.96.0.7,fd00::7 IPv4,IPv6 PreferDualStack');
  });
});
