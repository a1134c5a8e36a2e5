import { beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import type { PodSecurityConfiguration } from '#api/pod-security/configuration.ts';
import { defaultConfiguration } from '#api/pod-security/configuration.ts';
import { withPath } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';
import { contextWith, store } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { judgingMsMax, podsJudgedMax } from './existing-pods.ts';
import { podSecurity } from './pod-security.ts';

const pods = builtIn('', 'v1', 'pods');
const namespaces = builtIn('', 'v1', 'namespaces');
const deployments = builtIn('apps', 'v1', 'deployments');

const bare: JsonObject = {
  metadata: { name: 'p', namespace: 'asks' },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};
const onHost = withPath(bare, 'spec.hostPID', true);
const restricted = withPath(bare, 'spec.containers', [
  {
    ...{ name: 'c', image: 'i' },
    securityContext: {
      ...{ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      ...{ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    },
  },
]);
const baselineLabels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
const hostPid = 'host namespaces (hostPID=true)';

interface Told {
  readonly refusal: string;
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

interface Question {
  readonly kind?: typeof pods;
  readonly object: JsonObject;
  readonly old?: JsonObject;
  readonly namespace?: string;
  readonly name?: string;
  readonly user?: string;
  readonly subresource?: string;
  readonly configuration?: PodSecurityConfiguration;
}

async function ask(
  context: ServerContext,
  { kind = pods, object, old, namespace = 'asks', name = 'p', user = 'alice', ...more }: Question,
): Promise<Told> {
  const annotations = new Map<string, string>();
  const warnings: string[] = [];
  const operation = old === undefined ? 'create' : 'update';
  const attributes: AdmissionAttributes = {
    ...{ operation, verb: operation, kind, subresource: more.subresource ?? '', namespace, name },
    ...{ user: { name: user, groups: [] }, dryRun: false },
    scope: {
      signal: new AbortController().signal,
      warn: (text) => warnings.push(text),
      annotate: (key, value) => annotations.set(key.replace('pod-security.kubernetes.io/', ''), value),
    },
  };
  const plugin = podSecurity(more.configuration);
  let refusal = '';
  try {
    await plugin.validate?.(context, { attributes, object, old });
  } catch (error) {
    refusal = (error as Error).message;
  }
  return { refusal, warnings, annotations: Object.fromEntries(annotations) };
}

const exempting = (
  exemptions: Partial<PodSecurityConfiguration['exemptions']>,
): PodSecurityConfiguration => ({
  ...defaultConfiguration,
  exemptions: { ...defaultConfiguration.exemptions, ...exemptions },
});

/** Lines of `/metrics` that count more than nothing. */
async function counted(context: ServerContext, name: string): Promise<readonly string[]> {
  const { text } = await context.metrics.render();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) && !line.endsWith(' 0'));
}

describe('PodSecurity', () => {
  let context: ServerContext;
  beforeEach(async () => {
    context = await contextWith([]);
    await context.metrics.load();
    const asks = { ...baselineLabels, 'pod-security.kubernetes.io/warn': 'restricted' };
    const labels = { ...asks, 'pod-security.kubernetes.io/audit': 'restricted' };
    await store(context, 'v1/namespaces', { metadata: { name: 'asks', labels } });
    const wrong = { 'pod-security.kubernetes.io/enforce': 'x', 'pod-security.kubernetes.io/warn': 'y' };
    await store(context, 'v1/namespaces', { metadata: { name: 'wrong', labels: wrong } });
  });

  it('refuses what is enforced, warns of the rest, and notes both in the audit record', async () => {
    const refused = await ask(context, { object: onHost });
    expect(refused).toEqual({
      refusal: `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${hostPid}`,
      warnings: [],
      annotations: {
        'enforce-policy': 'baseline:latest',
        'audit-violations': expect.stringContaining(
          `would violate PodSecurity "restricted:latest": ${hostPid}, `,
        ),
      },
    });
    const warned = await ask(context, { object: bare });
    expect(warned).toEqual({
      refusal: '',
      warnings: [warned.annotations['audit-violations']],
      annotations: { 'enforce-policy': 'baseline:latest', 'audit-violations': warned.warnings[0] },
    });
    const fine = await ask(context, { object: restricted });
    expect(fine).toEqual({ refusal: '', warnings: [], annotations: { 'enforce-policy': 'baseline:latest' } });
    const lax = await ask(context, { object: onHost, namespace: 'n' });
    expect(lax).toEqual({
      refusal: '',
      warnings: [],
      annotations: { 'enforce-policy': 'privileged:latest' },
    });
    const sample = (labels: string, count: number): string =>
      `pod_security_evaluations_total{${labels},request_operation="create",resource="pod",subresource=""} ${count}`;
    expect((await counted(context, 'pod_security_evaluations_total')).toSorted()).toEqual([
      sample('decision="allow",mode="enforce",policy_level="baseline",policy_version="latest"', 2),
      sample('decision="allow",mode="enforce",policy_level="privileged",policy_version="latest"', 1),
      sample('decision="deny",mode="audit",policy_level="restricted",policy_version="latest"', 2),
      sample('decision="deny",mode="enforce",policy_level="baseline",policy_version="latest"', 1),
      sample('decision="deny",mode="warn",policy_level="restricted",policy_version="latest"', 1),
    ]);
  });

  it('only warns of what has a template, and asks nothing of one without', async () => {
    const object = { metadata: { name: 'd' }, spec: { template: withPath(onHost, 'metadata', {}) } };
    const told = await ask(context, { kind: deployments, object });
    expect(told.refusal).toBe('');
    expect(told.warnings).toEqual([
      expect.stringContaining(`would violate PodSecurity "restricted:latest": ${hostPid}`),
    ]);
    expect(Object.keys(told.annotations)).toEqual(['audit-violations']);
    const empty = await ask(context, { kind: deployments, object: { metadata: { name: 'd' }, spec: {} } });
    expect(empty).toEqual({ refusal: '', warnings: [], annotations: {} });
    const again = await ask(context, { kind: deployments, object, old: object });
    expect(again.warnings).toEqual(told.warnings);
  });

  it.each<{ readonly reason: string; readonly question: Partial<Question> }>([
    { reason: 'user', question: { configuration: exempting({ usernames: ['bob', 'alice'] }) } },
    { reason: 'namespace', question: { configuration: exempting({ namespaces: ['asks'] }) } },
    {
      reason: 'runtimeClass',
      question: {
        configuration: exempting({ runtimeClasses: ['vm'] }),
        object: withPath(onHost, 'spec.runtimeClassName', 'vm'),
      },
    },
  ])('exempts by $reason', async ({ reason, question }) => {
    expect(await ask(context, { object: onHost, ...question })).toEqual({
      refusal: '',
      warnings: [],
      annotations: { exempt: reason },
    });
    expect(await counted(context, 'pod_security_exemptions_total')).toEqual([
      'pod_security_exemptions_total{request_operation="create",resource="pod",subresource=""} 1',
    ]);
    expect(await counted(context, 'pod_security_evaluations_total')).toEqual([]);
  });

  it('exempts nobody else', async () => {
    const configuration = exempting({ usernames: ['bob'], namespaces: ['x'], runtimeClasses: ['vm'] });
    expect((await ask(context, { object: onHost, configuration })).refusal).not.toBe('');
  });

  it('has namespaces without labels ask what the configuration says', async () => {
    const configuration = {
      ...defaultConfiguration,
      defaults: { ...defaultConfiguration.defaults, enforce: { level: 'restricted', version: 20 } as const },
    };
    const { refusal, annotations } = await ask(context, { object: bare, namespace: 'n', configuration });
    expect(refusal).toContain('violates PodSecurity "restricted:v1.20": ');
    expect(refusal).not.toContain('capabilities'); // Asked since 1.22.
    expect(annotations).toEqual({ 'enforce-policy': 'restricted:v1.20' });
  });

  it('is as strict as can be where it cannot read the labels, and says so in the audit record', async () => {
    const { refusal, annotations } = await ask(context, { object: bare, namespace: 'wrong' });
    expect(refusal).toContain('violates PodSecurity "restricted:latest": ');
    expect(annotations['error']).toBe(
      'Failed to parse policy: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "y": must be one of privileged, baseline, restricted]',
    );
    expect(await counted(context, 'pod_security_errors_total')).toEqual([
      'pod_security_errors_total{fatal="false",request_operation="create",resource="pod",subresource=""} 1',
    ]);
  });

  it('refuses a pod of a namespace that is not there, and only notes it of a template', async () => {
    const missing = 'failed to lookup namespace "gone"';
    expect((await ask(context, { object: bare, namespace: 'gone' })).refusal).toContain(missing);
    const object = { metadata: { name: 'd' }, spec: { template: bare } };
    expect(await ask(context, { kind: deployments, object, namespace: 'gone' })).toEqual({
      ...{ refusal: '', warnings: [] },
      annotations: { error: missing },
    });
  });

  it('counts a version that nobody knows yet as future', async () => {
    const labels = { ...baselineLabels, 'pod-security.kubernetes.io/enforce-version': 'v1.99' };
    await store(context, 'v1/namespaces', { metadata: { name: 'later', labels } });
    const { refusal } = await ask(context, { object: onHost, namespace: 'later' });
    expect(refusal).toBe(`pods "p" is forbidden: violates PodSecurity "baseline:v1.99": ${hostPid}`);
    expect(await counted(context, 'pod_security_evaluations_total')).toEqual([
      expect.stringContaining('policy_version="future"'),
    ]);
  });

  describe('of an update', () => {
    const ephemeral = [{ name: 'e', image: 'i' }];
    it.each<{
      readonly what: string;
      readonly change: readonly [string, unknown];
      readonly isJudged: boolean;
    }>([
      { what: 'labels', change: ['metadata.labels', { a: 'b' }], isJudged: false },
      { what: 'tolerations', change: ['spec.tolerations', []], isJudged: false },
      { what: 'a deadline', change: ['spec.activeDeadlineSeconds', 1], isJudged: false },
      { what: 'another image', change: ['spec.containers', [{ name: 'c', image: 'j' }]], isJudged: true },
      { what: 'an ephemeral container', change: ['spec.ephemeralContainers', ephemeral], isJudged: true },
      { what: 'an init container', change: ['spec.initContainers', ephemeral], isJudged: true },
      {
        what: 'an annotation of seccomp',
        change: ['metadata.annotations', { 'seccomp.security.alpha.kubernetes.io/pod': 'x' }],
        isJudged: true,
      },
      {
        what: "an annotation of a container's seccomp",
        change: ['metadata.annotations', { 'container.seccomp.security.alpha.kubernetes.io/c': 'x' }],
        isJudged: true,
      },
      {
        what: 'an annotation of AppArmor',
        change: ['metadata.annotations', { 'container.apparmor.security.beta.kubernetes.io/c': 'x' }],
        isJudged: true,
      },
      { what: 'another annotation', change: ['metadata.annotations', { a: 'b' }], isJudged: false },
    ])('judges anew for $what: $isJudged', async ({ change: [path, value], isJudged }) => {
      const object = withPath(onHost, path, value);
      const { refusal } = await ask(context, { object, old: onHost });
      expect(refusal !== '').toBe(isJudged);
      const attributes = { kind: pods } as unknown as AdmissionAttributes;
      expect(podSecurity().mustWait?.({ attributes, object, old: onHost })).toBe(isJudged);
    });

    it('bears objects of which what is required is missing', async () => {
      const told = await ask(context, { object: { metadata: {}, spec: {} }, old: onHost });
      expect(told.refusal).toBe('');
    });
  });

  describe('of a namespace', () => {
    const asked = (labels: JsonObject): JsonObject => ({ metadata: { name: 'asks', labels } });
    const enforce = (level: string, version?: string): JsonObject => ({
      'pod-security.kubernetes.io/enforce': level,
      ...(version === undefined ? {} : { 'pod-security.kubernetes.io/enforce-version': version }),
    });
    const label = (old: JsonObject, labels: JsonObject, more: Partial<Question> = {}): Promise<Told> =>
      ask(context, {
        ...{ kind: namespaces, namespace: 'asks', name: 'asks', object: asked(labels), old: asked(old) },
        ...more,
      });
    const addPod = (name: string, more: JsonObject = {}): Promise<void> =>
      store(context, 'v1/pods', {
        metadata: { name, namespace: 'asks', uid: name },
        spec: { containers: [{ name: 'c', image: 'i' }], ...more },
      });
    const addOwned = (name: string, owner: string): Promise<void> => {
      const reference = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: owner,
        uid: owner,
        controller: true,
      };
      return store(context, 'v1/pods', {
        metadata: { name, namespace: 'asks', uid: name, ownerReferences: [reference] },
        spec: { containers: [{ name: 'c', image: 'i' }], hostPID: true },
      });
    };
    const head =
      'existing pods in namespace "asks" violate the new PodSecurity enforce level "baseline:latest"';

    it.each<{
      readonly what: string;
      readonly from: JsonObject;
      readonly to: JsonObject;
      readonly isLookedAt: boolean;
    }>([
      { what: 'more', from: {}, to: enforce('baseline'), isLookedAt: true },
      { what: 'more still', from: enforce('baseline'), to: enforce('restricted'), isLookedAt: true },
      {
        what: 'another version',
        from: enforce('baseline'),
        to: enforce('baseline', 'v1.20'),
        isLookedAt: true,
      },
      { what: 'less', from: enforce('restricted'), to: enforce('baseline'), isLookedAt: false },
      { what: 'nothing', from: enforce('restricted', 'v1.1'), to: enforce('privileged'), isLookedAt: false },
      {
        what: 'the same',
        from: enforce('baseline'),
        to: { ...enforce('baseline'), a: 'b' },
        isLookedAt: false,
      },
      {
        what: 'a warning',
        from: {},
        to: { 'pod-security.kubernetes.io/warn': 'restricted' },
        isLookedAt: false,
      },
    ])('looks at pods when it asks for $what: $isLookedAt', async ({ from, to, isLookedAt }) => {
      await addPod('first', { hostPID: true });
      const { warnings } = await label(from, to);
      expect(warnings.length > 0).toBe(isLookedAt);
    });

    it('groups pods by what is wrong with them', async () => {
      for (const name of ['c', 'a', 'b']) await addPod(name, { hostPID: true });
      await addPod('e', { hostNetwork: true, volumes: [{ name: 'h', hostPath: { path: '/' } }] });
      for (const name of ['g', 'f'])
        await addPod(name, { volumes: [{ name: 'h', hostPath: { path: '/' } }] });
      await addPod('fine');
      const configuration = exempting({ runtimeClasses: ['vm'] });
      await addPod('0', { hostPID: true, runtimeClassName: 'vm' });
      expect((await label({}, enforce('baseline'), { configuration })).warnings).toEqual([
        head,
        'a (and 2 other pods): host namespaces',
        'e: host namespaces, hostPath volumes',
        'f (and 1 other pod): hostPath volumes',
      ]);
      await store(context, 'v1/pods', { ...onHost, metadata: { name: 'other', namespace: 'n' } });
      expect((await label({}, enforce('baseline'), { configuration })).warnings).toHaveLength(4);
    });

    it('says nothing where all is well', async () => {
      await addPod('fine');
      expect((await label({}, enforce('baseline'))).warnings).toEqual([]);
    });

    it('looks at no more than some, one of each controller first', async () => {
      const count = podsJudgedMax + 200;
      for (let index = 0; index < count; index++) await addOwned(`a-${index}`, 'a');
      await addOwned('z', 'b');
      await addPod('zz', { hostNetwork: true, hostPID: true });
      const { warnings } = await label({}, enforce('baseline'));
      expect(warnings).toEqual([
        `new PodSecurity enforce level only checked against the first ${podsJudgedMax} of ${count + 2} existing pods`,
        head,
        `a-0 (and ${podsJudgedMax - 1} other pods): host namespaces`,
      ]);
    });

    it('looks at no more than there is time for', async () => {
      for (let index = 0; index < 20; index++) await addPod(`p-${10 + index}`, { hostPID: true });
      let ms = 0;
      const slow = { ...context, clock: { ...context.clock, monotonic: () => (ms += judgingMsMax / 5) } };
      const { warnings } = await ask(slow, {
        ...{ kind: namespaces, name: 'asks', object: asked(enforce('baseline')), old: asked({}) },
      });
      expect(warnings).toEqual([
        'new PodSecurity enforce level only checked against the first 4 of 20 existing pods',
        head,
        'p-10 (and 3 other pods): host namespaces',
      ]);
    });

    it('leaves labels that are wrong already, and refuses others', async () => {
      const wrong = enforce('x');
      expect((await label(wrong, { ...wrong, a: 'b' })).refusal).toBe('');
      expect((await label(wrong, { ...wrong, 'pod-security.kubernetes.io/warn': 'baseline' })).refusal).toBe(
        '',
      );
      expect((await label(wrong, enforce('y'))).refusal).toContain('Invalid value: "y"');
      expect((await ask(context, { kind: namespaces, object: asked(wrong) })).refusal).toContain('"x"');
    });

    it('is exempt by name', async () => {
      await addPod('first', { hostPID: true });
      const configuration = exempting({ namespaces: ['asks'] });
      const warning =
        'namespace "asks" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored';
      const told = { refusal: '', warnings: [warning], annotations: {} };
      expect(await label({}, enforce('baseline'), { configuration })).toEqual(told);
      const object = asked(enforce('baseline'));
      expect(await ask(context, { kind: namespaces, object, configuration })).toEqual(told);
      const lax = asked(enforce('privileged'));
      expect((await ask(context, { kind: namespaces, object: lax, configuration })).warnings).toEqual([]);
    });
  });
});
