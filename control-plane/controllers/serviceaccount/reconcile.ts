import { configMaps, namespaces, serviceAccounts } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ConfigMap } from '#api/generated/objects.ts';
import { isAlreadyExists, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { renewalOf, type RootCa } from '#control-plane/controllers/root-ca.ts';

export const rootCaName = 'kube-root-ca.crt';
const descriptionAnnotation = 'kubernetes.io/description';

/** The service account `default` in each namespace. */
export function runDefaultServiceAccounts(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const namespaceInformer = informers.for(namespaces);
  const accountInformer = informers.for(serviceAccounts);
  return runController({
    name: 'serviceaccount-controller',
    clock,
    logger,
    sources: [
      ownKey(namespaceInformer),
      source(accountInformer, ({ old, current }) => namespaceIfGone(old, current)),
    ],
    reconcile: async (namespace) => {
      if (!isActive(namespaceInformer.get(namespace))) return;
      if (accountInformer.get(`${namespace}/default`) !== undefined) return;
      await createUnlessThere(accountInformer, () =>
        client.create(serviceAccounts, { metadata: { name: 'default', namespace } }),
      );
    },
  });
}

/** The cluster's CA in each namespace, for pods to know their API server by. */
export function runRootCa(context: ControllerContext, rootCa: RootCa): Controller {
  const { informers, client, clock, logger } = context;
  const namespaceInformer = informers.for(namespaces);
  const mapInformer = informers.for(configMaps, { fieldSelector: `metadata.name=${rootCaName}` });
  const wanted = (namespace: string): ConfigMap => ({
    metadata: {
      name: rootCaName,
      namespace,
      annotations: {
        [descriptionAnnotation]:
          'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
      },
    },
    data: { 'ca.crt': rootCa.pem },
  });
  const isTold = ({ data = {}, metadata }: ConfigMap): boolean =>
    data['ca.crt'] === rootCa.pem &&
    Object.keys(data).length === 1 &&
    (metadata?.annotations?.[descriptionAnnotation] ?? '') !== '';
  return runController({
    name: 'root-ca-cert-publisher',
    clock,
    logger,
    sources: [
      ownKey(namespaceInformer),
      source(mapInformer, ({ old, current }) => [(current ?? old)?.metadata?.namespace ?? '']),
      renewalOf(rootCa, () => namespaceInformer.list().map(({ metadata }) => metadata?.name ?? '')),
    ],
    reconcile: async (namespace) => {
      if (!isActive(namespaceInformer.get(namespace))) return;
      const existing = mapInformer.get(`${namespace}/${rootCaName}`);
      if (existing === undefined) {
        await createUnlessThere(mapInformer, () => client.create(configMaps, wanted(namespace)));
      } else if (!isTold(existing)) {
        const { data, metadata } = wanted(namespace);
        const annotations = { ...existing.metadata?.annotations, ...metadata?.annotations };
        const told = { ...existing, metadata: { ...existing.metadata, annotations }, data };
        mapInformer.observe(await client.update(configMaps, told));
      }
    },
  });
}

function isActive(namespace: KubeObject | undefined): boolean {
  return namespace !== undefined && namespace.metadata?.deletionTimestamp === undefined;
}

function namespaceIfGone(old: KubeObject | undefined, current: KubeObject | undefined): readonly string[] {
  return current === undefined ? [old?.metadata?.namespace ?? ''] : [];
}

async function createUnlessThere<T>(informer: WritableInformer<T>, create: () => Promise<T>): Promise<void> {
  try {
    informer.observe(await create());
  } catch (error) {
    if (!isAlreadyExists(error) && !isNamespaceTerminating(error) && !isNotFound(error)) throw error;
  }
}
