import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

/** What a kube-apiserver 1.36.2 answered to pods: of `pod` the spec, and metadata where it says some. */
interface Observed {
  readonly what: string;
  readonly namespace: string;
  readonly pod: JsonObject;
  readonly code: number;
  readonly text: string;
  readonly warnings: readonly string[];
}

const observed: readonly Observed[] = JSON.parse(
  readFileSync(new URL('observed-1.36.2.json', import.meta.url), 'utf8'),
);

const labels: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  psb: { enforce: 'baseline' },
  psr: { enforce: 'restricted', 'enforce-version': 'v1.36' },
  psw: { warn: 'restricted', audit: 'restricted' },
  psp: {},
};

/** The texts of Warning headers. */
function warningsOf({ headers }: Answer): readonly string[] {
  return [...(headers['warning'] ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    text.replaceAll(/\\(.)/g, '$1'),
  );
}

const inOnePatch = { 'content-type': 'application/merge-patch+json' };
const bare = { containers: [{ name: 'c', image: 'i' }] };
const template = (spec: JsonObject): JsonObject => ({ metadata: { labels: { a: 'b' } }, spec });
const wouldViolate =
  'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

describe('Pod Security, as a kube-apiserver 1.36.2 has it', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    for (const [name, asked] of Object.entries(labels)) {
      const own = Object.entries(asked).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]);
      await test.make('/api/v1/namespaces', { metadata: { name, labels: Object.fromEntries(own) } });
      await test.make(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
    }
    for (const name of ['bad', 'worse']) {
      const pod = { metadata: { name }, spec: { ...bare, hostNetwork: true } };
      await test.make('/api/v1/namespaces/psp/pods', pod);
    }
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(observed)('$what in $namespace', async ({ namespace, pod, code, text, warnings }) => {
    const { metadata = {}, ...spec } = pod;
    const answer = await test.call('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
      body: { metadata: { name: 'p', ...(metadata as JsonObject) }, spec },
    });
    expect({ code: answer.status, text: code === 201 ? '' : answer.json['message'] }).toEqual({ code, text });
    expect(warningsOf(answer)).toEqual(expect.arrayContaining([...warnings]));
    const ours = warningsOf(answer).filter((warning) => warning.includes('PodSecurity'));
    expect(ours).toEqual(warnings.filter((warning) => warning.includes('PodSecurity')));
  });

  it.each<{ readonly what: string; readonly path: string; readonly spec: JsonObject; readonly want: string }>(
    [
      {
        what: 'a Deployment where baseline is enforced',
        path: '/apis/apps/v1/namespaces/psb/deployments',
        spec: { selector: { matchLabels: { a: 'b' } }, template: template({ ...bare, hostNetwork: true }) },
        want: 'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
      },
      {
        what: 'a Deployment',
        path: '/apis/apps/v1/namespaces/psw/deployments',
        spec: { selector: { matchLabels: { a: 'b' } }, template: template(bare) },
        want: wouldViolate,
      },
      {
        what: 'a CronJob',
        path: '/apis/batch/v1/namespaces/psw/cronjobs',
        spec: {
          schedule: '* * * * *',
          jobTemplate: { spec: { template: { spec: { ...bare, restartPolicy: 'Never' } } } },
        },
        want: wouldViolate,
      },
    ],
  )('warns of $what, and takes it', async ({ path, spec, want }) => {
    const answer = await test.call('POST', `${path}?dryRun=All`, { body: { metadata: { name: 'd' }, spec } });
    expect(answer.status).toBe(201);
    expect(warningsOf(answer)).toEqual(want === '' ? [] : [want]);
  });

  it('tells of pods that are there when a namespace asks for more', async () => {
    const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } };
    const patch = { headers: inOnePatch, body };
    const answer = await test.call('PATCH', '/api/v1/namespaces/psp?dryRun=All', patch);
    expect(answer.status).toBe(200);
    expect(warningsOf(answer)).toEqual([
      'existing pods in namespace "psp" violate the new PodSecurity enforce level "baseline:latest"',
      'bad (and 1 other pod): host namespaces',
    ]);
  });

  it.each<{
    readonly asked: Readonly<Record<string, string>>;
    readonly label: string;
    readonly want: string;
  }>([
    {
      asked: { enforce: 'foo' },
      label: 'enforce',
      want: 'Invalid value: "foo": must be one of privileged, baseline, restricted',
    },
    {
      asked: { enforce: 'baseline', 'enforce-version': 'v1.x' },
      label: 'enforce-version',
      want: 'Invalid value: "v1.x": must be "latest" or "v1.x"',
    },
    {
      asked: { enforce: 'baseline', 'enforce-version': 'v9.9' },
      label: 'enforce-version',
      want: 'Invalid value: "v9.9": must be "latest" or "v1.x"',
    },
    {
      asked: { warn: 'foo' },
      label: 'warn',
      want: 'Invalid value: "foo": must be one of privileged, baseline, restricted',
    },
  ])('refuses labels $asked, of a new namespace and of one that is there', async ({ asked, label, want }) => {
    const own = Object.entries(asked).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]);
    const given = { labels: Object.fromEntries(own) };
    const field = `metadata.labels[pod-security.kubernetes.io/${label}]`;
    const status = (name: string): unknown => ({
      ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Invalid', code: 422 },
      message: `Namespace "${name}" is invalid: ${field}: ${want}`,
      details: { name, kind: 'Namespace', causes: [{ reason: 'FieldValueInvalid', message: want, field }] },
    });
    const body = { metadata: { name: 'q', ...given } };
    const created = await test.call('POST', '/api/v1/namespaces?dryRun=All', { body });
    expect(created.json).toEqual(status('q'));
    const patch = { headers: inOnePatch, body: { metadata: given } };
    const patched = await test.call('PATCH', '/api/v1/namespaces/psp?dryRun=All', patch);
    expect(patched.json).toEqual(status('psp'));
  });

  it('does not judge a pod anew whose labels change', async () => {
    await test.call('PATCH', '/api/v1/namespaces/psp', {
      headers: inOnePatch,
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } },
    });
    const labelled = { headers: inOnePatch, body: { metadata: { labels: { a: 'b' } } } };
    const answer = await test.call('PATCH', '/api/v1/namespaces/psp/pods/bad?dryRun=All', labelled);
    expect([answer.status, warningsOf(answer)]).toEqual([200, []]);
    const image = { headers: { 'content-type': 'application/strategic-merge-patch+json' } };
    const body = { spec: { containers: [{ name: 'c', image: 'j' }] } };
    const changed = await test.call('PATCH', '/api/v1/namespaces/psp/pods/bad?dryRun=All', {
      ...image,
      body,
    });
    expect(changed.json['message']).toBe(
      'pods "bad" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    );
  });

  it('judges a pod that gets ephemeral containers', async () => {
    const { pod } = observed.find(({ what }) => what === 'compliant with restricted') ?? { pod: {} };
    await test.make('/api/v1/namespaces/psr/pods', { metadata: { name: 'x' }, spec: pod });
    const answer = await test.call('PATCH', '/api/v1/namespaces/psr/pods/x/ephemeralcontainers', {
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
      body: { spec: { ephemeralContainers: [{ name: 'e', image: 'i' }] } },
    });
    expect(answer.status).toBe(403);
    const ofE = wouldViolate.replaceAll('"c"', '"e"').replace('would violate', 'violates');
    expect(answer.json['message']).toBe(
      `pods "x" is forbidden: ${ofE.replace('restricted:latest', 'restricted:v1.36')}`,
    );
  });
});
