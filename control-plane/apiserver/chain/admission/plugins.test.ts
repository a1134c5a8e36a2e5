import { describe, expect, it } from 'vitest';
import { groupVersions, kinds, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { forbidden } from '#api/errors/status.ts';
import type { User, ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { handle } from '#control-plane/apiserver/chain/handle.ts';
import type { AdmissionAttributes, AdmissionPlugin } from './admission.ts';
import type { Operation } from './operation.ts';
import { conformAdmissionPlugin } from './admission.conformance.ts';
import { contextWith, nothingStored, store } from './admission.fixture.ts';
import { choosePlugins } from './choice/choose-plugins.ts';
import { defaultPlugins, pluginRows } from './plugins.ts';

const alice: User = { name: 'alice', groups: ['system:authenticated'] };
const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] };

/** All that are there, also those that are off by default. */
const allOfThem = {
  enabled: pluginRows.filter(({ create }) => create !== undefined).map(({ name }) => name),
  disabled: [],
};
const rateLimits = {
  ...{ apiVersion: 'eventratelimit.admission.k8s.io/v1alpha1', kind: 'Configuration' },
  limits: [{ type: 'Server', qps: 1, burst: 1 }],
};
const imagePolicy = {
  kubeConfigFile: 'pods/images/fixtures/nobody.yaml',
  retryBackoff: -1,
  defaultAllow: true,
};
/** Those that cannot be without. */
const configurations = new Map([
  ['EventRateLimit', { value: rateLimits, directory: '/etc', file: '/etc/admission.yaml' }],
  [
    'ImagePolicyWebhook',
    { value: { imagePolicy }, directory: import.meta.dirname, file: '/etc/admission.yaml' },
  ],
]);
const admissionPlugins = choosePlugins(pluginRows, allOfThem, configurations);

for (const plugin of admissionPlugins) conformAdmissionPlugin(plugin);

describe('pluginRows', () => {
  it('are those of upstream, in its order', () => {
    expect(pluginRows.map(({ name }) => name)).toEqual(upstream);
  });

  it('are on and off as upstream has them, and NodeRestriction is on', () => {
    const names = pluginRows.filter(({ onByDefault }) => !onByDefault).map(({ name }) => name);
    expect(names).toEqual(offByDefault);
  });

  it('are called as their plugins', () => {
    const names = pluginRows.flatMap(({ name, create }) => (create === undefined ? [] : [name]));
    expect(admissionPlugins.map(({ name }) => name)).toEqual(names);
  });

  it('handle what the golden file says', async () => {
    await expect(renderHandling()).toMatchFileSnapshot('golden/handling.txt');
  });
});

/** AllOrderedPlugins of kubernetes pkg/kubeapiserver/options/plugins.go, 1.36. */
const upstream = [
  'AlwaysAdmit',
  'NamespaceAutoProvision',
  'NamespaceLifecycle',
  'NamespaceExists',
  'LimitPodHardAntiAffinityTopology',
  'LimitRanger',
  'ServiceAccount',
  'NodeRestriction',
  'TaintNodesByCondition',
  'AlwaysPullImages',
  'ImagePolicyWebhook',
  'PodSecurity',
  'PodNodeSelector',
  'Priority',
  'DefaultTolerationSeconds',
  'PodTolerationRestriction',
  'EventRateLimit',
  'ExtendedResourceToleration',
  'DefaultStorageClass',
  'StorageObjectInUseProtection',
  'OwnerReferencesPermissionEnforcement',
  'PersistentVolumeClaimResize',
  'RuntimeClass',
  'CertificateApproval',
  'CertificateSigning',
  'ClusterTrustBundleAttest',
  'CertificateSubjectRestriction',
  'DefaultIngressClass',
  'DenyServiceExternalIPs',
  'PodTopologyLabels',
  'PodGroupWorkloadExists',
  'NodeDeclaredFeatureValidator',
  'JobValidation',
  'PodResizeValidator',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionWebhook',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionWebhook',
  'ResourceQuota',
  'AlwaysDeny',
];

/** DefaultOffAdmissionPlugins of the same file, without NodeRestriction (decision 0022). */
const offByDefault = [
  'AlwaysAdmit',
  'NamespaceAutoProvision',
  'NamespaceExists',
  'LimitPodHardAntiAffinityTopology',
  'AlwaysPullImages',
  'ImagePolicyWebhook',
  'PodNodeSelector',
  'PodTolerationRestriction',
  'EventRateLimit',
  'ExtendedResourceToleration',
  'OwnerReferencesPermissionEnforcement',
  'DenyServiceExternalIPs',
  'AlwaysDeny',
];

const waits = { atOnce: '', seldomWaits: ' (seldom waits)', mayWait: ' (may wait)' };

/** Who has a say in what, of those that are on by default: the plugins in order, then all that they have the same say in. */
function renderHandling(): string {
  const served = kinds.filter(({ group, version }) =>
    groupVersions.some((known) => known.group === group && known.version === version),
  );
  const byPlugins = new Map<string, string[]>();
  for (const user of [alice, node]) {
    for (const kind of served) {
      for (const [what, attributes] of operationsOf(kind, user)) {
        const handling = defaultPlugins().flatMap((plugin) => {
          const how = plugin.handles(attributes, nothingStored);
          return how === 'no' ? [] : [`${plugin.name}${waits[how]}`];
        });
        // Of a node what others do not have, and of nobody nothing.
        if (handling.length === 0 || (user === node && !handling.includes('NodeRestriction'))) continue;
        const key = handling.join(', ');
        byPlugins.set(key, [...(byPlugins.get(key) ?? []), `${user.name}: ${what}`]);
      }
    }
  }
  return [...byPlugins]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, whats]) =>
        `${key}\n${whats
          .toSorted()
          .map((what) => `  ${what}\n`)
          .join('')}`,
    )
    .join('\n');
}

/** All that can be asked of a kind that admission is asked about, by a name that is not the user's. */
function operationsOf(kind: Kind, user: User): readonly (readonly [string, AdmissionAttributes])[] {
  const { group, version, resource, verbs, subresources } = kind;
  const whole = { subresource: '', verbs };
  return [whole, ...subresources.map(({ name, verbs: own }) => ({ subresource: name, verbs: own }))].flatMap(
    ({ subresource, verbs: own }) =>
      own.flatMap((verb) => {
        const operation = operationOf(verb, subresource);
        if (operation === undefined) return [];
        const where = { namespace: kind.namespaced ? 'n' : '', name: 'other' };
        const what = [resource, subresource].filter((part) => part !== '').join('/');
        const text = `${verb} ${group === '' ? '' : `${group}/`}${version} ${what}`;
        const attributes = { operation, verb, kind, subresource, ...where, user, dryRun: false };
        return [[text, attributes as AdmissionAttributes] as const];
      }),
  );
}

function operationOf(verb: string, subresource: string): Operation | undefined {
  if (['exec', 'attach', 'portforward', 'proxy'].includes(subresource)) return 'connect';
  if (verb === 'create' || verb === 'delete') return verb;
  return verb === 'update' || verb === 'patch' ? 'update' : undefined;
}

const pods = '/api/v1/namespaces/n/pods';
const deployments = '/apis/apps/v1/namespaces/n/deployments';
const merge = 'application/merge-patch+json';
const replicas = { spec: { replicas: 2 } };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };

/** What is asked of the server, one after another, and which say admission has in it. */
const requests: readonly {
  readonly method: string;
  readonly path: string;
  readonly body?: JsonObject;
  readonly type?: string;
}[] = [
  { method: 'POST', path: '/api/v1/namespaces/n/configmaps', body: { metadata: { name: 'c' } } },
  { method: 'POST', path: '/api/v1/namespaces/n/configmaps?dryRun=All', body: { metadata: { name: 'd' } } },
  {
    method: 'PUT',
    path: '/api/v1/namespaces/n/configmaps/c',
    body: { metadata: { name: 'c' }, data: { a: 'b' } },
  },
  { method: 'PATCH', path: '/api/v1/namespaces/n/configmaps/c', body: { data: { a: 'c' } }, type: merge },
  { method: 'GET', path: '/api/v1/namespaces/n/configmaps/c' },
  { method: 'DELETE', path: '/api/v1/namespaces/n/configmaps/c' },
  { method: 'DELETE', path: '/api/v1/namespaces/n/secrets' },
  {
    method: 'PUT',
    path: '/apis/coordination.k8s.io/v1/namespaces/n/leases/l',
    body: { metadata: { name: 'l' }, spec: {} },
  },
  { method: 'PATCH', path: `${pods}/p/status`, body: { status: { phase: 'Running' } }, type: merge },
  { method: 'PATCH', path: `${pods}/p/resize`, body: {}, type: merge },
  { method: 'PATCH', path: `${deployments}/d/scale`, body: replicas, type: merge },
  { method: 'GET', path: `${deployments}/d/scale` },
  { method: 'POST', path: `${pods}/p/binding`, body: { metadata: { name: 'p' }, target: { name: 'a' } } },
  { method: 'POST', path: `${pods}/p/exec` },
  { method: 'GET', path: `${pods}/p/proxy/x` },
  { method: 'GET', path: `${pods}/p/log` },
  { method: 'POST', path: `${pods}/p/eviction`, body: { metadata: { name: 'p' } } },
  { method: 'POST', path: '/api/v1/namespaces/n/serviceaccounts/s/token', body: { spec: {} } },
  {
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: {},
  },
  { method: 'POST', path: '/api/v1/namespaces/n/bindings', body: { metadata: { name: 'p' } } },
];

describe('admission', () => {
  it('is asked about each write and connection, once, as the golden file says', async () => {
    const lines: string[] = [];
    const context = await contextWith([recorder(lines)]);
    const metadata = { name: 'p', namespace: 'n', uid: 'u' };
    await store(context, 'v1/pods', { metadata, spec: template.spec, status: { phase: 'Running' } });
    await store(context, 'v1/secrets', { metadata: { ...metadata, name: 's' } });
    await store(context, 'v1/serviceaccounts', { metadata: { ...metadata, name: 's' } });
    const spec = { selector: { matchLabels: { a: 'b' } }, template };
    await store(context, 'apps/v1/deployments', { metadata: { ...metadata, name: 'd' }, spec });
    const asked = [];
    for (const request of requests) {
      lines.length = 0;
      const { status } = await handle(context, requestOf(request));
      asked.push(`${request.method} ${request.path} ${status}`, ...lines.map((line) => `  ${line}`), '');
    }
    await expect(asked.join('\n')).toMatchFileSnapshot('golden/requests.txt');
  });
});

describe('a plugin', () => {
  it.each([
    { name: 'of what is allowed', isRefused: false, want: 201 },
    { name: 'of what it refuses', isRefused: true, want: 403 },
  ])('warns who asks, once, $name', async ({ isRefused, want }) => {
    const warning: AdmissionPlugin = {
      name: 'Warning',
      handles: () => 'mayWait',
      admit: async (_context, { attributes: { scope } }) => {
        scope?.signal.throwIfAborted();
        for (const text of ['one', 'one', 'two']) scope?.warn(text);
        return undefined;
      },
      validate: async (_context, { attributes: { kind, name } }) => {
        if (isRefused) throw forbidden(kind, name, 'no');
      },
    };
    const body = { metadata: { name: 'c' } };
    const path = '/api/v1/namespaces/n/configmaps?fieldValidation=Warn';
    const request = requestOf({ method: 'POST', path, body: { ...body, odd: 1 } });
    const { status, headers } = await handle(await contextWith([warning]), request);
    expect(status).toBe(want);
    const own = isRefused ? [] : ['299 - "unknown field \\"odd\\""'];
    expect(headers['warning']).toEqual([...own, '299 - "one"', '299 - "two"']);
  });
});

function recorder(lines: string[]): AdmissionPlugin {
  const tell = (
    half: string,
    { operation, verb, kind, subresource, name, dryRun }: AdmissionAttributes,
  ): void =>
    void lines.push(
      [half, operation, `(${verb})`, kind.resource, subresource, name, dryRun ? 'dry run' : '']
        .filter((word) => word !== '')
        .join(' '),
    );
  const shown = (object: JsonObject | undefined): string => String(object?.['kind'] ?? '-');
  return {
    name: 'Recorder',
    handles: () => 'atOnce',
    admit: (_context, { attributes, object, old }) => {
      tell(`admit ${shown(object)}, was ${shown(old)}:`, attributes);
      return undefined;
    },
    validate: (_context, { attributes }) => tell('validate', attributes),
  };
}

function requestOf({ method, path, body, type = 'application/json' }: (typeof requests)[number]): ApiRequest {
  const [bare = '', query = ''] = path.split('?');
  return {
    method,
    path: bare,
    query: new URLSearchParams(query),
    headers: body === undefined ? {} : { 'content-type': type },
    caller: { kind: 'in-process', user: alice },
    readBody: async () => (body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body))),
    signal: new AbortController().signal,
  };
}
