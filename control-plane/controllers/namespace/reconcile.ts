import type { KeyOutcome } from '#base/keyed-queue.ts';
import { namespaces, pods } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { Namespace } from '#api/generated/objects.ts';
import { describeRefusal, isConflict, isMethodNotSupported, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { DiscoveredKind, Discovery } from '#client/discover-kinds.ts';
import { listAll } from '#client/list-all.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { slowStart } from '#control-plane/controllers/pods/slow-start.ts';
import { createRecentDiscovery, type RecentDiscovery } from './recent-discovery.ts';
import {
  isEmptied,
  isOverdue,
  kubernetesFinalizer,
  namespaceConditions,
  type NamespaceContents,
} from './plan.ts';

/** How soon a namespace that still holds something is looked at again; pods that go are seen at once. */
const retryMs = 1000;

/** Empties namespaces that are being deleted, then lets them go. */
export function runNamespaces(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const namespaceInformer = informers.for(namespaces);
  const podInformer = informers.for(pods);
  const isGoing = (name: string): boolean =>
    namespaceInformer.get(name)?.metadata?.deletionTimestamp !== undefined;
  const loop: Loop = {
    context,
    discovery: createRecentDiscovery(context.client, clock),
    seenGoing: new Map(),
  };
  return runController({
    name: 'namespace-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(namespaceInformer, ({ key, current }) => {
        if (current?.metadata?.deletionTimestamp === undefined) loop.seenGoing.delete(key);
        else if (!loop.seenGoing.has(key)) loop.seenGoing.set(key, clock.monotonic());
        return [key];
      }),
      source(podInformer, ({ old, current }) =>
        current === undefined && isGoing(old?.metadata?.namespace ?? '')
          ? [old?.metadata?.namespace ?? '']
          : [],
      ),
    ],
    reconcile: (key) => reconcile(loop, namespaceInformer.get(key)),
  });
}

interface Loop {
  readonly context: ControllerContext;
  readonly discovery: RecentDiscovery;
  /** When each namespace was seen going (monotonic). Nothing is made in it from then on, so that it has no kinds but those of then. */
  readonly seenGoing: Map<string, number>;
}

async function reconcile(
  { context, discovery, seenGoing }: Loop,
  namespace: Namespace | undefined,
): Promise<KeyOutcome | void> {
  const { client, clock, informers } = context;
  if (namespace?.metadata?.deletionTimestamp === undefined) return;
  const { name = '' } = namespace.metadata;
  if (!(namespace.spec?.finalizers ?? []).includes(kubernetesFinalizer)) return;
  const found = await discovery.since(seenGoing.get(name) ?? clock.monotonic());
  const contents = await deleteContents(context, name, found);
  const conditions = namespaceConditions(namespace, contents, clock.now());
  try {
    let latest = namespace;
    if (conditions !== namespace.status?.conditions) {
      const status = { ...namespace.status, phase: 'Terminating' as const, conditions };
      latest = await client.update(namespaces, { ...namespace, status }, { subresource: 'status' });
      informers.for(namespaces).observe(latest);
    }
    if (!isEmptied(contents)) return { kind: 'again', afterMs: retryMs };
    const finalizers = (latest.spec?.finalizers ?? []).filter(
      (finalizer) => finalizer !== kubernetesFinalizer,
    );
    await client.update(
      namespaces,
      { ...latest, spec: { ...latest.spec, finalizers } },
      { subresource: 'finalize' },
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return undefined;
}

/** Asks for the deletion of all that is in the namespace; what is there afterwards. */
async function deleteContents(
  { client, clock, mayHold = async () => true }: Pick<ControllerContext, 'client' | 'clock' | 'mayHold'>,
  namespace: string,
  { kinds, failed }: Discovery,
): Promise<NamespaceContents> {
  const deletable = kinds.filter(
    ({ namespaced, verbs }) => namespaced && verbs.includes('list') && verbs.includes('delete'),
  );
  const failures: string[] = [];
  const remaining = new Map<string, readonly KubeObject[]>();
  const visit = async (kind: DiscoveredKind): Promise<void> => {
    try {
      if (!(await mayHold(kind, namespace))) return;
      const left = await deleteAll(client, kind, namespace);
      if (left.length > 0) remaining.set(`${kind.resource}.${kind.group}`, left);
      if (isOverdue(left, clock.now())) failures.push(unexpected(kind, namespace));
    } catch (error) {
      // A kind that is gone since it was found has nothing here any more.
      if (!isMethodNotSupported(error) && !isNotFound(error)) failures.push(describeRefusal(error));
    }
  };
  // Pods first, and the rest only when they are gone: they may need their secrets, volumes and accounts to stop well.
  for (const kind of deletable.filter(isPods)) await visit(kind);
  if (remaining.size === 0) await Promise.all(deletable.filter((kind) => !isPods(kind)).map(visit));
  return { remaining, discoveryFailures: failed, deletionFailures: failures };
}

/** In the words of Kubernetes, with Go's text of a kind. */
function unexpected({ group, version, resource }: DiscoveredKind, namespace: string): string {
  return `unexpected items still remain in namespace: ${namespace} for gvr: ${group}/${version}, Resource=${resource}`;
}

function isPods({ group, resource }: DiscoveredKind): boolean {
  return group === '' && resource === 'pods';
}

async function deleteAll(
  client: ApiClient,
  kind: DiscoveredKind,
  namespace: string,
): Promise<readonly KubeObject[]> {
  const list = async (): Promise<readonly KubeObject[]> =>
    (await listAll(client, kind, { namespace, metadataOnly: true })).items;
  const found = await list();
  const going = found.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  if (found.length === 0) return found;
  const { error } = await slowStart(going.length, async (index) => {
    const { name = '', uid } = going[index]?.metadata ?? {};
    try {
      await client.delete(
        kind,
        { namespace, name },
        { preconditions: { uid }, propagationPolicy: 'Background' },
      );
    } catch (failure) {
      if (!isNotFound(failure) && !isConflict(failure)) throw failure;
    }
  });
  if (error !== undefined) throw error;
  return list();
}
