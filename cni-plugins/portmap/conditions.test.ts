import { describe, expect, test } from 'vitest';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { renderTable } from '#native/nft/render.ts';
import { conditionsDigest, parseConditions } from './conditions.ts';
import { portmapTable } from './plan.ts';

const configOf = (fields: object): PluginConfig => ({ type: 'portmap', ...fields });

/** The conditions as nft says them in the rule that leads ports on. */
function wordsOf(fields: object, family: 4 | 6 = 4): string {
  const conditions = parseConditions(configOf(fields))[family];
  const rule = renderTable(portmapTable(family, conditions))
    .split('\n')
    .find((line) => line.includes('dnat'));
  return rule?.replace(/ ?dnat .*| ?ip6? daddr \. meta.*/, '').trim() ?? '';
}

describe('conditions', () => {
  test.each([
    [
      'an array of words, as the documentation has it',
      ['!', '-d', '192.0.2.0/24'],
      'ip daddr != 192.0.2.0/24',
    ],
    ['words in one text', ['! -d 192.0.2.0/24'], 'ip daddr != 192.0.2.0/24'],
    ['a single address', ['-s', '192.0.2.7'], 'ip saddr 192.0.2.7'],
    ['a network that is not written as one', ['-s', '192.0.2.7/24'], 'ip saddr 192.0.2.0/24'],
    [
      'several, all of which have to hold',
      ['-i', 'eth0', '!', '--source', '10.0.0.0/8'],
      'iifname "eth0" ip saddr != 10.0.0.0/8',
    ],
    ['words of nft', ['ip', 'daddr', '!=', '192.0.2.0/24'], 'ip daddr != 192.0.2.0/24'],
    [
      'of the interface',
      ['iifname != "eth1"', 'ip saddr 10.0.0.0/8'],
      'iifname != "eth1" ip saddr 10.0.0.0/8',
    ],
    ['with the operator that is meant without one', ['meta iifname == eth1'], 'iifname "eth1"'],
  ])('%s', (_name, conditionsV4, want) => expect(wordsOf({ conditionsV4 })).toBe(want));

  test('of IPv6 are those of conditionsV6', () => {
    const both = { conditionsV4: ['-s', '10.0.0.0/8'], conditionsV6: ['!', '-d', 'fc00::/7'] };
    expect(wordsOf(both, 6)).toBe('ip6 daddr != fc00::/7');
  });

  test.each([
    ['a list', ['-s', '10.0.0.1,10.0.0.2']],
    ['a set', ['ip', 'saddr', '{', '10.0.0.1', '}']],
    ['another family', ['ip6', 'daddr', 'fc00::/7']],
    ['an address of another family', ['-d', 'fc00::/7']],
    ['everything', ['-d', '0.0.0.0/0']],
    ['several interfaces', ['-i', 'eth+']],
    ['an option without its value', ['-d']],
    ['a negation alone', ['!']],
    ['a port', ['-p', 'tcp', '--sport', '80']],
  ])('%s is refused by its words', (_name, conditionsV4) => {
    expect(() => parseConditions(configOf({ conditionsV4 }))).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(
          `portmap: conditionsV4: "${conditionsV4.join(' ')}" is not supported`,
        ),
        detail: { cniCode: 2 },
      }),
    );
  });

  test('what has the same conditions has one table, and what has none that of all others', () => {
    const nameOf = (...conditionsV4: readonly string[]): string =>
      portmapTable(4, parseConditions(configOf({ conditionsV4 }))[4]).name;
    expect(nameOf()).toBe('cni-portmap');
    expect(nameOf('!', '-d', '192.0.2.0/24')).toBe(nameOf('ip daddr != 192.0.2.0/24'));
    expect(nameOf('-d', '192.0.2.0/24')).not.toBe(nameOf('!', '-d', '192.0.2.0/24'));
    expect(conditionsDigest([])).toBe('');
  });
});
