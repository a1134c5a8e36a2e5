import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { objectOf } from '#api/wire/json.ts';
import { goDifference } from './go-difference.ts';

const specOf = (spec: object): Readonly<Record<string, unknown>> => {
  const kind = findKindByName('v1', 'Pod') ?? expect.unreachable();
  return objectOf(
    applyDefaults(kind, { spec: { containers: [{ name: 'c', image: 'i' }], ...spec } })['spec'],
  );
};
const pod = (before: object, after: object): string =>
  goDifference('core.v1.PodSpec', specOf(before), specOf(after));
const strings = (before: readonly string[], after: readonly string[]): string =>
  goDifference('core.v1.ExecAction', { command: before }, { command: after });
const lines = (count: number, change: (index: number) => string = () => ''): readonly string[] =>
  Array.from({ length: count }, (_, index) => change(index) || `l${index}`);

describe('goDifference()', () => {
  it('is as a 1.36.2 told it of a pod (apply-observed)', () => {
    const made = { automountServiceAccountToken: false, serviceAccountName: 'default' };
    expect(pod(made, { ...made, nodeName: 'q' })).toBe(
      '@@ -42,7 +42,7 @@\n  "NodeSelector": null,\n  "ServiceAccountName": "default",\n  "AutomountServiceAccountToken": false,\n- "NodeName": "",\n+ "NodeName": "q",\n  "SecurityContext": {\n   "HostNetwork": false,\n   "HostPID": false,\n',
    );
  });

  it.each([
    ['nothing', { a: 'b' }, { a: 'b' }, ''],
    [
      'an empty list that grows',
      { tolerations: [] },
      { tolerations: [{ key: 'a' }] },
      '@@ -69,7 +69,15 @@\n  "SetHostnameAsFQDN": null,\n  "Affinity": null,\n  "SchedulerName": "default-scheduler",\n- "Tolerations": [],\n+ "Tolerations": [\n+  {\n+   "Key": "a",\n+   "Operator": "",\n+   "Value": "",\n+   "Effect": "",\n+   "TolerationSeconds": null\n+  }\n+ ],\n  "HostAliases": null,\n  "PriorityClassName": "",\n  "Priority": null,\n',
    ],
    [
      'what is far from each other',
      {},
      { restartPolicy: 'Never', hostname: 'h' },
      '@@ -35,7 +35,7 @@\n   }\n  ],\n  "EphemeralContainers": null,\n- "RestartPolicy": "Always",\n+ "RestartPolicy": "Never",\n  "TerminationGracePeriodSeconds": 30,\n  "ActiveDeadlineSeconds": null,\n  "DNSPolicy": "ClusterFirst",\n@@ -64,7 +64,7 @@\n   "SELinuxChangePolicy": null\n  },\n  "ImagePullSecrets": null,\n- "Hostname": "",\n+ "Hostname": "h",\n  "Subdomain": "",\n  "SetHostnameAsFQDN": null,\n  "Affinity": null,\n',
    ],
    [
      "the host's namespaces, which are of the security context",
      {},
      { hostPID: true, hostUsers: false },
      '@@ -45,10 +45,10 @@\n  "NodeName": "",\n  "SecurityContext": {\n   "HostNetwork": false,\n-  "HostPID": false,\n+  "HostPID": true,\n   "HostIPC": false,\n   "ShareProcessNamespace": null,\n-  "HostUsers": null,\n+  "HostUsers": false,\n   "SELinuxOptions": null,\n   "WindowsOptions": null,\n   "RunAsUser": null,\n',
    ],
  ])('tells of %s', (_name, before, after, want) => expect(pod(before, after)).toBe(want));

  it.each([
    ['a line that comes', ['a', 'b'], ['a', 'x', 'b'], '+  "x",'],
    ["texts that are Go's", ['<'], ['>&"\\'], '-  "\\u003c"\n+  "\\u003e\\u0026\\"\\\\"'],
  ])('writes %s', (_name, before, after, want) => expect(strings(before, after)).toContain(want));

  it('takes lines that are everywhere for no sign in long texts', () => {
    const often = (index: number): string => (index % 2 === 0 ? 'same' : '');
    const after = [...lines(300, often)];
    after.splice(151, 1);
    expect(
      strings(lines(300, often), after)
        .split('\n')
        .filter((line) => /^[-+]/.test(line)),
    ).toEqual(['-  "l151",']);
  });

  it('compares from both ends what takes long', () => {
    const words = (at: ReadonlySet<number>): readonly string[] =>
      lines(6000, (index) => (at.has(index) ? 'x' : `w${index % 100}`));
    const changed = (at: readonly number[]): number =>
      strings(words(new Set()), words(new Set(at)))
        .split('\n')
        .filter((line) => /^[-+]/.test(line)).length;
    expect(changed([10, 2000])).toBe(4);
    expect(changed(Array.from({ length: 20 }, (_, index) => 10 + 100 * index))).toBe(2 * 1901);
  });
});
