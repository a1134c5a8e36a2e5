import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { tierGroup, tierKinds } from '#api/network/cluster-policies.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import { parseTierPolicy } from './parse-tier-policy.ts';
import type { TierPolicy } from './tier-policy.ts';

/** Names of their definitions. */
export const tierDefinitionNames: readonly string[] = [
  ...new Set(tierKinds.map(({ resource }) => `${resource}.${tierGroup}`)),
];

type TierHandler = (key: string, policy: TierPolicy | undefined) => void;

export interface KnownTier {
  readonly kind: KindRef<KubeObject>;
  readonly object: KubeObject;
}

/** Policies of the whole cluster, of those kinds that are installed in it. */
export interface TierSource {
  /** Told of all that there are, then of each that changes. `key`: `KIND/NAME`. */
  onChange(handler: TierHandler): Disposable;
  /** Told when what is known may have become all that there is. */
  onSynced(handler: () => void): Disposable;
  /** What is known is all that there is. */
  readonly hasSynced: boolean;
  /** The policy, and of which kind it is, for who is told of it. */
  find(key: string): KnownTier | undefined;
  /** All of them, as handlers were told. */
  list(): readonly KnownTier[];
  /** Policies as they are, where the watch may be behind. */
  freshen(): Promise<void>;
}

export interface TierSourceOptions {
  readonly client: ApiClient;
  /** Of each of the names, if it is there. */
  readonly definitions: readonly Informer<CustomResourceDefinition>[];
  readonly follow: (kind: KindRef<KubeObject>) => WritableInformer<KubeObject>;
  readonly stop: (kind: KindRef<KubeObject>) => void;
  readonly log: Logger;
}

interface Followed {
  readonly kind: KindRef<KubeObject>;
  readonly informer: WritableInformer<KubeObject>;
  readonly subscription: Disposable;
}

/** Follows the kinds as their definitions come and go; a cluster without them is asked for nothing else. */
export function followTiers(options: TierSourceOptions): TierSource {
  return new Follower(options);
}

/** What is kept of a definition. */
export function withoutSchemas(definition: CustomResourceDefinition): CustomResourceDefinition {
  const { metadata, spec, status } = definition;
  const { name, uid, resourceVersion } = metadata ?? {};
  const versions = (spec?.versions ?? []).map((version) => ({
    name: version.name,
    served: version.served,
    storage: version.storage,
  }));
  const { group: own = '', names = { kind: '', plural: '' }, scope = '' } = spec ?? {};
  return {
    metadata: { name, uid, resourceVersion },
    spec: { group: own, names: { kind: names.kind, plural: names.plural }, scope, versions },
    status: { conditions: status?.conditions },
  };
}

/** The kind that a definition makes, by the best version that is served and understood; undefined: none. Pure. */
export function tierKindOf({
  metadata,
  spec,
  status,
}: CustomResourceDefinition): KindRef<KubeObject> | undefined {
  if (!isConditionTrue(status?.conditions, 'Established')) return undefined;
  const served = new Set((spec?.versions ?? []).flatMap((each) => (each.served ? [each.name] : [])));
  return tierKinds.find(
    ({ resource, version }) => metadata?.name === `${resource}.${tierGroup}` && served.has(version),
  );
}

class Follower implements TierSource {
  readonly #options: TierSourceOptions;
  /** By the names of definitions. */
  readonly #followed = new Map<string, Followed>();
  readonly #handlers = new Set<TierHandler>();
  readonly #onSynced = new Set<() => void>();

  constructor(options: TierSourceOptions) {
    this.#options = options;
    for (const informer of options.definitions) {
      informer.onChange(({ key, current }) => this.#take(key, current));
      void informer.synced.then(() => this.#tellSynced());
    }
  }

  onChange(handler: TierHandler): Disposable {
    this.#handlers.add(handler);
    for (const { kind, informer } of this.#followed.values())
      for (const object of informer.list()) handler(...read(kind, object));
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) };
  }

  onSynced(handler: () => void): Disposable {
    this.#onSynced.add(handler);
    return { [Symbol.dispose]: () => void this.#onSynced.delete(handler) };
  }

  get hasSynced(): boolean {
    const all = [...this.#followed.values()].map(({ informer }) => informer);
    return [...this.#options.definitions, ...all].every((informer) => informer.hasSynced);
  }

  find(key: string): KnownTier | undefined {
    const [word = '', name = ''] = key.split('/');
    const found = [...this.#followed.values()].find(({ kind }) => kind.kind === word);
    const object = found?.informer.get(name);
    return found === undefined || object === undefined ? undefined : { kind: found.kind, object };
  }

  list(): readonly KnownTier[] {
    return [...this.#followed.values()].flatMap(({ kind, informer }) =>
      informer.list().map((object) => ({ kind, object })),
    );
  }

  async freshen(): Promise<void> {
    await Promise.all([...this.#followed.values()].map((one) => this.#look(one)));
  }

  async #look({ kind, informer }: Followed): Promise<void> {
    try {
      const { items } = await this.#options.client.list(kind, {});
      for (const item of items) informer.observe(item);
    } catch (error) {
      // Without a server there is what was known last.
      this.#options.log.debug(
        { kind: kind.kind, error: describeError(error) },
        'policies not asked for anew',
      );
    }
  }

  #take(name: string, definition: CustomResourceDefinition | undefined): void {
    const before = this.#followed.get(name);
    const kind = definition === undefined ? undefined : tierKindOf(definition);
    if (before?.kind === kind && kind !== undefined) return;
    if (before !== undefined) this.#forget(name, before);
    if (kind !== undefined) this.#follow(name, kind);
    else if (definition !== undefined && isConditionTrue(definition.status?.conditions, 'Established'))
      this.#options.log.warn(
        { name },
        'it serves no version that this node reads: its policies are not in force',
      );
    this.#tellSynced();
  }

  #follow(name: string, kind: KindRef<KubeObject>): void {
    const informer = this.#options.follow(kind);
    const subscription = informer.onChange(({ key, old, current }) => {
      if (hasSameSpec(old, current)) return;
      const [own, policy] = current === undefined ? [`${kind.kind}/${key}`, undefined] : read(kind, current);
      for (const handler of this.#handlers) handler(own, policy);
    });
    this.#followed.set(name, { kind, informer, subscription });
    void informer.synced.then(() => this.#tellSynced());
  }

  #forget(name: string, { kind, informer, subscription }: Followed): void {
    this.#followed.delete(name);
    subscription[Symbol.dispose]();
    for (const object of informer.list())
      for (const handler of this.#handlers) handler(read(kind, object)[0], undefined);
    this.#options.stop(kind);
  }

  #tellSynced(): void {
    for (const handler of this.#onSynced) handler();
  }
}

/** Only its status changed, which says what nodes say of it. */
function hasSameSpec(old: KubeObject | undefined, current: KubeObject | undefined): boolean {
  const [before, now] = [old?.metadata, current?.metadata];
  return now?.generation !== undefined && before?.generation === now.generation && before.uid === now.uid;
}

const read = ({ kind }: KindRef<KubeObject>, object: KubeObject): [key: string, policy: TierPolicy] => [
  `${kind}/${object.metadata?.name}`,
  parseTierPolicy(kind, object),
];
