import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admissionProblems, readAdmission } from './admission-options.ts';
import type { AdmissionCommandOptions } from './add-options.ts';

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n';
const podSecurity = (fields: string): string =>
  `apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n${fields}`;
const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '      ');
const inline = (fields: string): string =>
  `${head}plugins:\n  - name: PodSecurity\n    configuration:\n${indented(podSecurity(fields))}`;

const files: Readonly<Record<string, string>> = {
  'right.yaml': inline('defaults: { enforce: baseline, enforce-version: v1.30 }\n'),
  'json.yaml': JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AdmissionConfiguration',
    plugins: [{ name: 'PodSecurity', path: 'own.yaml' }],
  }),
  'own.yaml': podSecurity('exemptions: { usernames: [alice], namespaces: [kube-system] }\n'),
  'nothing.yaml': head,
  'silent.yaml': `${head}plugins: [{ name: PodSecurity }]\n`,
  'kind.yaml': 'apiVersion: v1\nkind: ConfigMap\n',
  'field.yaml': `${head}plugin: []\n`,
  'text.yaml': 'hello\n',
  'broken.yaml': '{',
  'gone.yaml': `${head}plugins: [{ name: PodSecurity, path: none.yaml }]\n`,
  'both.yaml': `${head}plugins: [{ name: PodSecurity, path: own.yaml, configuration: {} }]\n`,
  'twice.yaml': `${head}plugins: [{ name: PodSecurity }, { name: PodSecurity }]\n`,
  'nameless.yaml': `${head}plugins: [{ path: own.yaml }]\n`,
  'unknown.yaml': `${head}plugins: [{ name: PodSecurities, path: own.yaml }]\n`,
  'none.of.it.yaml': `${head}plugins: [{ name: NamespaceLifecycle, configuration: {} }]\n`,
  'level.yaml': inline('defaults: { enforce: strict, audit-version: v2.0 }\n'),
  'mode.yaml': inline('defaults: { enforced: baseline }\n'),
  'names.yaml': inline(
    'exemptions: { usernames: ["", a, a], namespaces: [A_b], runtimeClasses: [x.y, "?"] }\n',
  ),
  'list.yaml': inline('exemptions: { usernames: alice }\n'),
};

describe('options of admission', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'podwright-admission-'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each<{ readonly name: string; readonly given: AdmissionCommandOptions; readonly want: RegExp }>([
    {
      name: 'an unknown plugin',
      given: { enableAdmissionPlugins: ['PodSecurty'] },
      want: /^--enable-admission-plugins "PodSecurty": is none of AlwaysAdmit, /,
    },
    {
      name: 'an unknown plugin that is to be off',
      given: { disableAdmissionPlugins: ['X'] },
      want: /^--disable-admission-plugins "X": is none of /,
    },
    {
      name: 'both',
      given: { enableAdmissionPlugins: ['Priority'], disableAdmissionPlugins: ['Priority'] },
      want: /^--enable-admission-plugins Priority: --disable-admission-plugins has it too$/,
    },
  ])('refuses $name', ({ given, want }) => {
    expect(admissionProblems(given)).toEqual([expect.stringMatching(want)]);
  });

  it.each<{ readonly file: string; readonly want: RegExp }>([
    { file: 'missing.yaml', want: /read .*missing\.yaml: ENOENT/ },
    { file: '.', want: /read .*: EISDIR/ },
    { file: 'kind.yaml', want: /kind: "ConfigMap", not "AdmissionConfiguration"; apiVersion: "v1", none of/ },
    { file: 'field.yaml', want: /plugin: unknown field$/ },
    { file: 'text.yaml', want: /not a YAML or JSON mapping$/ },
    { file: 'broken.yaml', want: /error converting YAML to JSON/ },
    { file: 'gone.yaml', want: /read .*none\.yaml: ENOENT/ },
    { file: 'both.yaml', want: /plugins\[0\]: give path or configuration, not both$/ },
    { file: 'twice.yaml', want: /plugins\[1\]\.name: "PodSecurity" twice$/ },
    { file: 'nameless.yaml', want: /plugins\[0\]\.name: say which plugin$/ },
    { file: 'unknown.yaml', want: /there is no plugin "PodSecurities"; known are / },
    { file: 'none.of.it.yaml', want: /plugin NamespaceLifecycle takes no configuration$/ },
    {
      file: 'level.yaml',
      want: /plugin PodSecurity: defaults\.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted; defaults\.audit-version: Invalid value: "v2\.0": must be "latest" or "v1\.x"$/,
    },
    { file: 'mode.yaml', want: /plugin PodSecurity: defaults\.enforced: unknown field$/ },
    {
      file: 'names.yaml',
      want: /exemptions\.namespaces\[0\]: Invalid value: "A_b": .*; exemptions\.runtimeClasses\[1\]: .*; exemptions\.usernames\[0\]: Required value; exemptions\.usernames\[2\]: Duplicate value: "a"$/,
    },
    { file: 'list.yaml', want: /exemptions\.usernames: not a list$/ },
  ])('has one error for $file', ({ file, want }) => {
    const given = { admissionControlConfigFile: join(directory, file) };
    expect(admissionProblems(given)).toEqual([expect.stringMatching(/^--admission-control-config-file: /)]);
    expect(admissionProblems(given)).toEqual([expect.stringMatching(want)]);
  });

  it.each(['right.yaml', 'json.yaml', 'nothing.yaml', 'silent.yaml'])('takes %s', (file) => {
    const given = { admissionControlConfigFile: join(directory, file) };
    expect(admissionProblems(given)).toEqual([]);
    expect(readAdmission(given).plugins.map(({ name }) => name)).toContain('PodSecurity');
  });

  it('switches on and off, and tells of a configuration that has no effect', () => {
    const names = ({ plugins }: ReturnType<typeof readAdmission>): readonly string[] =>
      plugins.map(({ name }) => name);
    const disableAdmissionPlugins = ['PodSecurity', 'NodeRestriction'];
    const all = names(readAdmission({}));
    expect(names(readAdmission({ disableAdmissionPlugins }))).toEqual(
      all.filter((name) => !disableAdmissionPlugins.includes(name)),
    );
    const admissionControlConfigFile = join(directory, 'right.yaml');
    expect(readAdmission({ admissionControlConfigFile }).idle).toEqual([]);
    expect(readAdmission({ admissionControlConfigFile, disableAdmissionPlugins }).idle).toEqual([
      'PodSecurity',
    ]);
  });
});
