import { apiServices } from './api-services.ts';
import { findCondition } from '#api/meta/condition.ts';
import type { ServiceCIDRStatus } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { at, equalJson, listOf, objectOf, stringOf, typed } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import { classOfIp } from '#base/ip-class.ts';
import { familyOfIp } from '#base/ip.ts';
import { systemPriorities } from './chain/admission/pods/priority.ts';
import { announceServer, withdrawServer } from './announced-servers.ts';
import { ensureAccess } from './bootstrap-access.ts';
import { builtIn } from './built-in.ts';
import { ensureClusterInfo } from './cluster-info.ts';
import { ensure, serverUser } from './ensure.ts';
import { ensureMetricsApi } from './metrics-api/metrics-api.ts';
import { repairClaims } from './services/claims.ts';
import type { ServerContext } from './server-context.ts';
import { updateObject, type UpdateInput } from './verbs/update.ts';

const namespaces = builtIn('', 'v1', 'namespaces');
const services = builtIn('', 'v1', 'services');
const endpoints = builtIn('', 'v1', 'endpoints');
const endpointSlices = builtIn('discovery.k8s.io', 'v1', 'endpointslices');
const serviceCidrs = builtIn('networking.k8s.io', 'v1', 'servicecidrs');
const apiServiceKind = builtIn('apiregistration.k8s.io', 'v1', 'apiservices');
const priorityClasses = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');

const priorityUses: Readonly<Record<string, string>> = {
  'system-cluster-critical': 'run in the cluster, but can be moved to another node if necessary',
  'system-node-critical': 'not be moved from their current node',
};
const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Makes what every cluster has, where it is not there yet, and points the kubernetes Service at this server. */
export async function bootstrap(
  context: ServerContext,
  caCertPem: string,
  { hasMetricsApi = false }: { readonly hasMetricsApi?: boolean } = {},
): Promise<void> {
  const { registry, logger } = context;
  const repaired = await repairClaims(registry.store, services, {
    list: () => registry.readAll(services, ''),
    nowMs: context.clock.now(),
  });
  if (repaired.made + repaired.removed > 0) logger.info(repaired, 'claims of addresses and ports put right');
  await settleAll(systemNamespaces.map((name) => ensure(context, namespaces, { metadata: { name } })));
  // What is written together is one write to the disk.
  await settleAll([
    ensureClusterInfo(context, caCertPem),
    ensureAccess(context),
    ...Object.entries(systemPriorities).map(([name, value]) => ensurePriority(context, name, value)),
    ...apiServices().map((object) => ensure(context, apiServiceKind, object)),
    ...(hasMetricsApi ? [ensureMetricsApi(context)] : []),
    ensureServiceCidr(context).then(() => ensureKubernetesService(context)),
  ]);
}

const reconcileMs = 10_000;

/** Keeps the kubernetes Service and what it points to as they must be, whoever changes them. */
export function keepKubernetesService(context: ServerContext): AsyncDisposable {
  let timer = context.clock.after(reconcileMs, step);
  let isOver = false;
  function step(): void {
    // The range may have been deleted, and let go.
    void ensureServiceCidr(context)
      .then(() => ensureKubernetesService(context))
      .catch((error: unknown) => {
        context.logger.warn(
          { error: describeError(error) },
          'the kubernetes Service will be looked after again',
        );
      })
      .then(() => {
        if (!isOver) timer = context.clock.after(reconcileMs, step);
      });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      timer[Symbol.dispose]();
      const { store } = context.registry;
      // Of a store that cannot be reached nobody waits for the end: the announcement ends by itself.
      if (!context.isStoreShared || store.failure !== undefined) return;
      await withdrawServer(store, context.advertise.host).catch((error: unknown) => {
        context.logger.warn(
          { error: describeError(error) },
          'others will take this server for running a while',
        );
      });
    },
  };
}

/** Where pods reach the servers of this store, in order. */
async function reachableHosts({
  registry,
  isStoreShared,
  advertise,
}: ServerContext): Promise<readonly string[]> {
  const hosts = isStoreShared ? await announceServer(registry.store, advertise.host) : [advertise.host];
  // Advertised on loopback, for clients of its host alone: no pod would reach it, and no slice may hold it.
  return hosts.filter((host) => classOfIp(host) === 'ordinary');
}

function ensurePriority(context: ServerContext, name: string, value: number): Promise<void> {
  const description = `Used for system critical pods that must ${priorityUses[name] ?? 'run'}.`;
  return ensure(context, priorityClasses, { metadata: { name }, value, description });
}

/** The network that Services have their addresses of, for clients to see. */
async function ensureServiceCidr(context: ServerContext): Promise<void> {
  const name = 'kubernetes';
  const { cidrs } = context.allocators;
  const finalizers = ['networking.k8s.io/service-cidr-finalizer'];
  await ensure(context, serviceCidrs, { metadata: { name, finalizers }, spec: { cidrs } });
  const ready = {
    type: 'Ready',
    status: 'True',
    lastTransitionTime: formatTime(context.clock.now()),
    reason: '',
    message: 'Kubernetes Service CIDR is ready',
  };
  const where = { kind: serviceCidrs, namespace: '', name };
  // A cluster that got its second family: the network of the first stays.
  await changeUnlessSo(context, where, (current) => {
    const old = listOf(at(current, 'spec.cidrs'));
    const isGrown = old.length < cidrs.length && old.every((cidr, index) => cidr === cidrs[index]);
    return isGrown ? { ...current, spec: { cidrs } } : current;
  });
  await changeUnlessSo(context, { ...where, subresource: 'status' }, (current) =>
    findCondition(typed<ServiceCIDRStatus>(objectOf(current['status'])).conditions, ready.type) === undefined
      ? { ...current, status: { conditions: [ready] } }
      : current,
  );
}

/** The Service by which pods find the servers, with the endpoints that they reach them at; all have the same port. */
async function ensureKubernetesService(context: ServerContext): Promise<void> {
  const labels = { component: 'apiserver', provider: 'kubernetes' };
  const { port } = context.advertise;
  const hosts = await reachableHosts(context);
  const own = { name: 'kubernetes', namespace: 'default' };
  await ensure(context, services, {
    metadata: { ...own, labels },
    spec: {
      clusterIP: context.allocators.firstAddress(),
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
  });
  // The fields that must follow the server when it moves, beside what defaulting adds to them.
  await ensureCurrent(context, endpoints, {
    metadata: { ...own, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets:
      hosts.length > 0
        ? [{ addresses: hosts.map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }]
        : [],
  });
  await ensureCurrent(context, endpointSlices, {
    metadata: { ...own, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: familyOfIp(context.advertise.host) === 6 ? 'IPv6' : 'IPv4',
    endpoints: hosts.map((host) => ({ addresses: [host], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  });
}

async function ensureCurrent(context: ServerContext, kind: Kind, object: JsonObject): Promise<void> {
  await ensure(context, kind, object);
  const { metadata: wantedMetadata, ...wanted } = object;
  const { name, namespace } = objectOf(wantedMetadata);
  const where = { kind, namespace: stringOf(namespace), name: stringOf(name) };
  await changeUnlessSo(context, where, (current) => {
    const isCurrent = Object.entries(wanted).every(([field, value]) => equalJson(current[field], value));
    return isCurrent ? current : { ...current, ...wanted };
  });
}

/** An object that is as it is to be is read, and goes through no admission: it is looked at every few seconds. */
async function changeUnlessSo(
  context: ServerContext,
  where: Pick<UpdateInput, 'kind' | 'namespace' | 'name' | 'subresource'>,
  change: (current: JsonObject) => JsonObject,
): Promise<void> {
  const present = await context.registry.read(where.kind, where.namespace, where.name);
  const isSo = present !== undefined && change(present.object) === present.object;
  if (isSo && present.value.isStale !== true) return;
  const admittedAs = { user: serverUser, verb: 'update', subresource: where.subresource ?? '' } as const;
  await updateObject(context, { ...where, dryRun: false, admittedAs, change });
}
