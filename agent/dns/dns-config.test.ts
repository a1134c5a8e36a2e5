import { expect, test } from 'vitest';
import { emptyDnsConfig, parseDnsConfig, stubDomainOf } from './dns-config.ts';

test('what a cluster says of its DNS', () => {
  const { config, problems } = parseDnsConfig({
    stubDomains: '{"Acme.local.": ["10.0.0.1", "10.0.0.2:5353"], "consul": ["[fd00::1]:8600"]}',
    upstreamNameservers: '["8.8.8.8"]',
    hosts: '10.0.0.9 registry.local registry # ours\n\nfd00::9 registry.local\n',
  });
  expect(problems).toEqual([]);
  expect(config.stubDomains).toEqual(
    new Map([
      ['acme.local', ['10.0.0.1', '10.0.0.2:5353']],
      ['consul', ['[fd00::1]:8600']],
    ]),
  );
  expect(config.upstreamNameservers).toEqual(['8.8.8.8']);
  expect(config.hosts.addresses.get('registry.local')).toEqual(['10.0.0.9', 'fd00::9']);
  expect(config.hosts.names.get('10.0.0.9')).toEqual(['registry.local', 'registry']);
});

test.each<[Record<string, string>, string]>([
  [{ stubDomains: '[]' }, 'stubDomains: write {"example.com": ["10.0.0.1"]}'],
  [{ stubDomains: '{"a": "10.0.0.1"}' }, 'stubDomains: write one to 8 addresses: ["10.0.0.1"]'],
  [
    { stubDomains: '{"a": ["resolver.local"]}' },
    'stubDomains: resolver.local is no address, nor ADDRESS:PORT',
  ],
  [
    { upstreamNameservers: '["10.0.0.1:0"]' },
    'upstreamNameservers: 10.0.0.1:0 is no address, nor ADDRESS:PORT',
  ],
  [{ hosts: 'registry 10.0.0.1' }, 'hosts: registry 10.0.0.1: write ADDRESS NAME…'],
  [{ Corefile: '.:53 {}' }, 'Corefile: no such setting; there are stubDomains, upstreamNameservers, hosts'],
])('%o is said to be wrong, and has no effect', (data, want) => {
  const { config, problems } = parseDnsConfig(data);
  expect(problems).toEqual([want]);
  expect(config).toEqual(emptyDnsConfig);
});

test('what is wrong keeps nothing else from its effect', () => {
  const { config, problems } = parseDnsConfig({ stubDomains: '{', upstreamNameservers: '["10.0.0.1"]' });
  expect(problems).toHaveLength(1);
  expect(config.upstreamNameservers).toEqual(['10.0.0.1']);
});

test.each([
  ['api.acme.local', 'acme.local'],
  ['API.EU.acme.local.', 'eu.acme.local'],
  ['acme.local', 'acme.local'],
  ['notacme.local', undefined],
])('%s is in %s', (name, want) => {
  const { config } = parseDnsConfig({
    stubDomains: '{"acme.local": ["10.0.0.1"], "eu.acme.local": ["10.0.0.2"]}',
  });
  expect(stubDomainOf(config, name)).toBe(want);
});
