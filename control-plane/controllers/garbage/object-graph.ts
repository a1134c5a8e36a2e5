import { apiVersionOf } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { OwnerReference } from '#api/generated/objects.ts';
import type { DiscoveredKind, Discovery } from '#client/discover-kinds.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';

/** An object with the kind that it is of. */
export interface Vertex {
  readonly kind: DiscoveredKind;
  readonly key: string; // `namespace/name`
  readonly object: KubeObject;
}

/** All objects that can be owners or owned, by the informers of their kinds. */
export interface ObjectGraph {
  /** Starts and stops informers so that there is one for each of the kinds. Of group versions that did not answer all stay that were there. */
  setKinds(found: Discovery): void;
  /** Stops the informer of a custom kind whose definition, of this name, is gone. */
  dropCustom(definition: string): void;
  get(id: string): Vertex | undefined;
  /** The owner that a reference of an object in the namespace names; undefined when the kind is unknown. */
  kindOf(reference: OwnerReference): DiscoveredKind | undefined;
  /** One after another, as they are then. An owner may have tens of thousands. */
  dependentsOf(uid: string): Iterable<Vertex>;
  readonly hasSynced: boolean;
}

/**
 * What is kept of an object of which only the metadata is known: who it is, who owns it and what holds it. The rest of the metadata of
 * hundreds of definitions is tens of megabytes. Whoever else watches metadata shares the informer, and keeps no more.
 */
export function identityOf<T extends KubeObject>(object: T): T {
  const { metadata = {} } = object;
  const { managedFields: _managedFields, annotations: _annotations, labels: _labels, ...identity } = metadata;
  return { ...object, metadata: identity };
}

/** `apps/v1/deployments|default/web`: names an object across kinds. */
export function vertexId(kind: DiscoveredKind, key: string): string {
  return `${apiVersionOf(kind)}/${kind.resource}|${key}`;
}

/** Kinds that never own and are never owned, and change all the time. */
const ignored: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events']);
/** Kinds whose whole objects other controllers keep anyway: their informers are shared. */
const kept: ReadonlySet<string> = new Set(
  [
    '/pods',
    '/services',
    '/nodes',
    '/namespaces',
    '/endpoints',
    '/serviceaccounts',
    'apps/replicasets',
  ].concat([
    'apps/deployments',
    'apps/daemonsets',
    'apps/statefulsets',
    'batch/jobs',
    'discovery.k8s.io/endpointslices',
  ]),
);

export function createObjectGraph(
  informers: Informers,
  onChange: (kind: DiscoveredKind, change: Change<KubeObject>) => void,
): ObjectGraph {
  const known = new Map<
    string,
    {
      readonly kind: DiscoveredKind;
      readonly informer: WritableInformer<KubeObject>;
      readonly handler: Disposable;
    }
  >();
  /** Whose caches are not full yet. */
  const filling = new Set<WritableInformer<KubeObject>>();
  /** By group and kind; made anew once the kinds are others. */
  let byName: ReadonlyMap<string, DiscoveredKind> | undefined;
  const start = (kind: DiscoveredKind): void => {
    const metadataOnly = !kept.has(`${kind.group}/${kind.resource}`);
    const informer = informers.for(kind, metadataOnly ? { metadataOnly, transform: identityOf } : {});
    informer.ensureIndex('owner', ({ metadata }) => (metadata?.ownerReferences ?? []).map(({ uid }) => uid));
    const handler = informer.onChange((change) => onChange(kind, change));
    known.set(idOf(kind), { kind, informer, handler });
    filling.add(informer);
    byName = undefined;
  };
  const stop = (id: string): void => {
    const found = known.get(id);
    if (found === undefined || !known.delete(id)) return;
    const { kind, informer, handler } = found;
    filling.delete(informer);
    byName = undefined;
    handler[Symbol.dispose]();
    if (!kept.has(`${kind.group}/${kind.resource}`)) void informers.stop(kind, { metadataOnly: true });
  };
  return {
    setKinds: ({ kinds, failed }) => {
      const silent = [...known.values()]
        .map(({ kind }) => kind)
        .filter((kind) => failed.includes(apiVersionOf(kind)));
      const wanted = new Map([...silent, ...kinds.filter(isCollectable)].map((kind) => [idOf(kind), kind]));
      for (const id of known.keys()) if (!wanted.has(id)) stop(id);
      for (const [id, kind] of wanted) if (!known.has(id)) start(kind);
    },
    dropCustom: (definition) => {
      for (const [id, { kind }] of known) if (`${kind.resource}.${kind.group}` === definition) stop(id);
    },
    get: (id) => {
      const bar = id.indexOf('|');
      const [key, found] = [id.slice(bar + 1), known.get(id.slice(0, bar))];
      const object = found?.informer.get(key);
      return found === undefined || object === undefined ? undefined : { kind: found.kind, key, object };
    },
    kindOf: ({ apiVersion, kind }) => {
      byName ??= new Map([...known.values()].toReversed().map((one) => [nameOf(one.kind), one.kind]));
      return byName.get(nameOf({ group: groupOf(apiVersion), kind }));
    },
    *dependentsOf(uid) {
      for (const { kind, informer } of known.values())
        for (const object of informer.eachByIndex('owner', uid)) yield { kind, key: keyOf(object), object };
    },
    get hasSynced() {
      for (const informer of filling) if (informer.hasSynced) filling.delete(informer);
      return filling.size === 0;
    },
  };
}

function isCollectable({ group, resource, verbs }: DiscoveredKind): boolean {
  return (
    !ignored.has(`${group}/${resource}`) && ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb))
  );
}

function nameOf({ group, kind }: Pick<DiscoveredKind, 'group' | 'kind'>): string {
  return `${group}/${kind}`;
}

function idOf(kind: DiscoveredKind): string {
  return `${apiVersionOf(kind)}/${kind.resource}`;
}

function keyOf({ metadata }: KubeObject): string {
  const { namespace, name = '' } = metadata ?? {};
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Another version of the owner's kind is the same kind. */
function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
