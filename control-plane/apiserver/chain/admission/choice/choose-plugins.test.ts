import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { choiceProblems, choosePlugins, idleConfigurations, type PluginChoice } from './choose-plugins.ts';
import { notBuilt, off, on, type PluginConfiguration, type PluginRow } from './plugin-row.ts';

const plugin = (name: string): AdmissionPlugin => ({ name, handles: () => 'no' });
const tuned: PluginRow = {
  name: 'Tuned',
  onByDefault: true,
  create: () => plugin('Tuned'),
  configure: ({ value }) => {
    if (value['kind'] !== 'TunedConfiguration') throw new PodwrightError('E_INVALID', 'kind: is not right');
    return plugin('Tuned as told');
  },
};
const rows: readonly PluginRow[] = [
  on(plugin('First')),
  off(plugin('Second')),
  tuned,
  notBuilt('Later', 'on'),
  notBuilt('Never', 'off'),
];

function choice(change: Partial<PluginChoice>): PluginChoice {
  return { enabled: [], disabled: [], ...change };
}

function configured(
  name: string,
  value: PluginConfiguration['value'],
): ReadonlyMap<string, PluginConfiguration> {
  return new Map([[name, { value, directory: '/etc', file: '/etc/admission.yaml' }]]);
}

describe('choosePlugins()', () => {
  it.each<{ readonly name: string; readonly given: Partial<PluginChoice>; readonly want: readonly string[] }>(
    [
      { name: 'has those that are on by default', given: {}, want: ['First', 'Tuned'] },
      { name: 'adds one, in its place', given: { enabled: ['Second'] }, want: ['First', 'Second', 'Tuned'] },
      { name: 'takes one that is on anyway', given: { enabled: ['First'] }, want: ['First', 'Tuned'] },
      { name: 'leaves one out', given: { disabled: ['First'] }, want: ['Tuned'] },
      {
        name: 'leaves out what is off, or not there',
        given: { disabled: ['Second', 'Later'] },
        want: ['First', 'Tuned'],
      },
    ],
  )('$name', ({ given, want }) => {
    expect(choosePlugins(rows, choice(given)).map(({ name }) => name)).toEqual(want);
  });

  it('makes one by its configuration', () => {
    const chosen = choosePlugins(rows, choice({}), configured('Tuned', { kind: 'TunedConfiguration' }));
    expect(chosen.map(({ name }) => name)).toEqual(['First', 'Tuned as told']);
  });

  it.each<{ readonly plugin: string; readonly want: string }>([
    { plugin: 'Tuned', want: '/etc/admission.yaml: plugin Tuned: kind: is not right' },
    { plugin: 'First', want: '/etc/admission.yaml: plugin First takes no configuration' },
    { plugin: 'Later', want: '/etc/admission.yaml: plugin Later takes no configuration' },
    {
      plugin: 'Nobody',
      want: '/etc/admission.yaml: there is no plugin "Nobody"; known are First, Second, Tuned, Later, Never',
    },
  ])('refuses a wrong configuration of $plugin', ({ plugin: name, want }) => {
    expect(() => choosePlugins(rows, choice({}), configured(name, {}))).toThrow(want);
  });

  it('tells of a configuration of one that is off', () => {
    const configurations = configured('Tuned', {});
    expect(idleConfigurations(rows, choice({}), configurations)).toEqual([]);
    expect(idleConfigurations(rows, choice({ disabled: ['Tuned'] }), configurations)).toEqual(['Tuned']);
  });
});

describe('choiceProblems()', () => {
  it.each<{ readonly given: Partial<PluginChoice>; readonly want: readonly string[] }>([
    { given: { enabled: ['Second'], disabled: ['First'] }, want: [] },
    {
      given: { enabled: ['Secnd'], disabled: [''] },
      want: [
        '--enable-admission-plugins "Secnd": is none of First, Second, Tuned, Later, Never',
        '--disable-admission-plugins "": is none of First, Second, Tuned, Later, Never',
      ],
    },
    {
      given: { enabled: ['Never'] },
      want: ['--enable-admission-plugins Never: podwright does not have it yet'],
    },
    {
      given: { enabled: ['First'], disabled: ['First'] },
      want: ['--enable-admission-plugins First: --disable-admission-plugins has it too'],
    },
  ])('of $given', ({ given, want }) => {
    expect(choiceProblems(rows, choice(given))).toEqual(want);
  });
});
