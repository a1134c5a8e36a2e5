import { isPodwrightError } from '#base/errors.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { statusOf } from '#api/errors/status.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createTurns } from '#base/turns.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { emptyBooks } from '#control-plane/apiserver/chain/authz/access-books.ts';
import { createAuthorizer } from '#control-plane/apiserver/chain/authz/authorizers.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { PlainLimits } from '#control-plane/apiserver/chain/flow-control/plain-limits.ts';
import { StreamedSeats } from '#control-plane/apiserver/chain/flow-control/seat.ts';
import { RecentLists } from '#control-plane/apiserver/verbs/recent-lists.ts';
import { ListTurns } from '#control-plane/apiserver/chain/list-turns.ts';
import { InFlight } from '#control-plane/apiserver/chain/in-flight.ts';
import { RequestMetrics } from '#control-plane/apiserver/serve/metrics.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { ServiceAllocators } from '#control-plane/apiserver/services/allocators.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store } from '#control-plane/store/store.ts';
import { inProcessAuthentication } from '#control-plane/apiserver/chain/authn/authentication.fixture.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionRequest, HandlingContext } from './admission.ts';
import type { Operation } from './operation.ts';
import { noNamespaceLabels } from './match/namespace-labels.ts';
import { hooksOf } from './webhooks/hook.ts';
import { noHooks, type HookBook } from './webhooks/hook-book.ts';
import type { HookCaller } from './webhooks/hook-caller.ts';
import { matchConstraintsOf } from './match/match-constraints.ts';
import { MatchIndex } from './match/match-index.ts';
import {
  noPolicyBook,
  readPolicy,
  type Binding,
  type PolicyBook,
  type PolicySet,
} from './policies/policy-book.ts';

/** A kind that is not served by default, as somebody may bring it. */
export const trustBundles: Kind = {
  ...widgets,
  ...{ group: 'certificates.k8s.io', version: 'v1beta1', kind: 'ClusterTrustBundle' },
  ...{ resource: 'clustertrustbundles', singular: 'clustertrustbundle', namespaced: false },
};

const everything = matchConstraintsOf({
  resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }],
});
const allPolicies: PolicySet = {
  policies: new MatchIndex([
    {
      item: readPolicy({ metadata: { name: 'p' }, spec: { validations: [{ expression: 'true' }] } }),
      constraints: everything,
    },
  ]),
  bindings: new MatchIndex<Binding>([
    {
      item: {
        ...{ name: 'b', policyName: 'p', constraints: everything, paramRef: undefined },
        actions: ['Deny'],
      },
      constraints: everything,
    },
  ]),
};

/** A policy about all requests, that none of them breaks and that changes nothing. */
export const policiesForAll: PolicyBook = { validating: allPolicies, mutating: allPolicies };

/** Who knows the built-in kinds, and nothing of what is stored. */
export const nothingStored: HandlingContext = {
  kinds: createKindCatalogue(),
  namespaces: noNamespaceLabels,
  hooks: noHooks,
  policies: noPolicyBook,
};

const hookOfAll = {
  name: 'all.example.com',
  clientConfig: { url: 'https://hook.invalid' },
  rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], scope: '*' }],
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
};

/** Hooks of both sorts that are asked about everything. */
export const hooksOfAll: HookBook = {
  mutating: new MatchIndex(hooksOf({ metadata: { name: 'm' }, webhooks: [hookOfAll] })),
  validating: new MatchIndex(hooksOf({ metadata: { name: 'v' }, webhooks: [hookOfAll] })),
};

/** Who asks hooks that allow all and change nothing. */
const allowing: HookCaller = {
  waiting: 0,
  call: async (_hook, { apiVersion, kind, request }) => {
    const response = { uid: at(request, 'uid'), allowed: true };
    return { body: Buffer.from(JSON.stringify({ apiVersion, kind, response })), contentType: '' };
  },
};

/** What a plugin is asked about: of an update `old` as well. */
export interface Ask extends Partial<Pick<AdmissionRequest, 'object' | 'old'>> {
  readonly kind: Kind;
  readonly subresource?: string;
  readonly operation?: Operation;
  readonly user?: User;
  readonly dryRun?: boolean;
}

/** What becomes of it: the object as both halves of the plugin leave it, or what it is refused with. */
export async function ask(
  context: ServerContext,
  plugin: AdmissionPlugin,
  { kind, object, old, subresource = '', user = { name: 'alice', groups: [] }, ...how }: Ask,
): Promise<
  { readonly object: JsonObject | undefined } | { readonly code: number; readonly message: string }
> {
  const operation = how.operation ?? (old === undefined ? 'create' : 'update');
  const name = nameOf(object ?? old);
  const attributes: AdmissionAttributes = {
    ...{ operation, kind, subresource, user, name, dryRun: how.dryRun === true },
    ...{ verb: operation === 'connect' ? 'get' : operation, namespace: kind.namespaced ? 'n' : '' },
  };
  if (plugin.handles(attributes, context) === 'no') return { object };
  try {
    const admitted = (await plugin.admit?.(context, { attributes, object, old })) ?? object;
    using _held = (await plugin.validate?.(context, { attributes, object: admitted, old })) ?? undefined;
    return { object: admitted };
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return { code: statusOf(error).httpCode, message: error.message };
  }
}

function nameOf(object: JsonObject | undefined): string {
  return stringOf(at(object, 'metadata.name'));
}

/** As much of a server as stores objects, with these plugins. It has namespace `n`. */
export async function contextWith(
  admission: readonly AdmissionPlugin[],
  objects: Store = createFakeStore(),
): Promise<ServerContext> {
  const clock = createFakeClock();
  const books = emptyBooks();
  const registry = new Registry(objects, () => clock.now());
  const context = {
    ...{
      registry,
      clock,
      logger: silentLogger,
      admission,
      authorizer: createAuthorizer({ books, clock }, [{ type: 'Authenticated', name: 'all' }]),
      books,
      namespaces: noNamespaceLabels,
      hooks: noHooks,
      hookCaller: allowing,
      policies: noPolicyBook,
    },
    allocators: new ServiceAllocators(['10.0.0.0/24']),
    quotaTurns: createTurns(),
    kinds: createKindCatalogue(),
    listTurns: new ListTurns(),
    recentLists: new RecentLists(clock),
    inFlight: new InFlight(),
    flowControl: new PlainLimits({ readOnly: 0, mutating: 0 }, new StreamedSeats(clock)),
    metrics: new RequestMetrics({ revision: () => 0, inFlight: () => ({ mutating: 0, readOnly: 0 }) }),
    authentication: inProcessAuthentication,
    tokenPolicy: { apiAudiences: ['api'], maxTokenSeconds: 3600, extendsTokens: true, jwksUri: undefined },
    tokens: { sign: async () => ({ token: 't', expiresAtMs: 0 }) },
    closing: new AbortController().signal,
    aggregation: { find: () => undefined, versions: [] },
  };
  await registry.create(builtIn('', 'v1', 'namespaces'), { metadata: { name: 'n' } });
  return context as unknown as ServerContext;
}

/** The object as somebody else stores it, without a word to admission. */
export async function store(context: ServerContext, resource: string, object: JsonObject): Promise<void> {
  const [version = '', plural = ''] = resource.split('/').slice(-2);
  const group = resource.split('/').length === 3 ? (resource.split('/')[0] ?? '') : '';
  await context.registry.create(builtIn(group, version, plural), object);
}
