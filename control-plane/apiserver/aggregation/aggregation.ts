import type { APIService } from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { at, equalJson, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { mirrorKind, type MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import type { RemoteDocument } from './merged-openapi.ts';
import type { RemoteOpenApi } from '#control-plane/apiserver/paths/openapi.ts';
import {
  metricsGroup,
  metricsResources,
  metricsVersion,
} from '#control-plane/apiserver/metrics-api/usage.ts';
import type { RemoteVersion } from './merged-discovery.ts';
import type { RemoteConnections } from './remote-connections.ts';
import { remoteServiceOf, type RemoteService } from './remote-service.ts';

export const apiServiceKind: Kind = builtIn('apiregistration.k8s.io', 'v1', 'apiservices');

/** What was learnt of a remote server. */
export interface Learnt {
  /** Of its APIResourceList. */
  readonly resources: readonly JsonObject[];
  /** Whether it answered the last time. */
  readonly isCurrent: boolean;
  /** Where its OpenAPI v3 document is, with its hash; undefined: it has none. */
  readonly openApiPath?: string | undefined;
  /** Its document of OpenAPI v2; undefined: it has none. */
  readonly openApiV2?: JsonObject | undefined;
}

/** An APIService, as its condition Available says it. */
export interface ServiceState {
  readonly name: string;
  readonly isAvailable: boolean;
}

/** The group versions that other servers answer, as APIServices say it, and what is known of them. */
export class Aggregation implements Disposable {
  readonly connections: RemoteConnections;
  readonly #kinds: KindCatalogue;
  readonly #byKey = new Map<string, RemoteService>();
  readonly #learnt = new Map<string, Learnt>();
  readonly #locals = new Map<string, string>();
  /** By key: of all of them, whoever answers. */
  readonly #states = new Map<string, ServiceState>();
  /** Keys of the APIService by which this server has metrics. */
  readonly #metrics = new Set<string>();
  #byVersion = new Map<string, RemoteService>();
  #mirror: Disposable | undefined;
  #version = 0;
  /** Told of one that came or was changed. */
  onChange: ((name: string) => void) | undefined;

  constructor(connections: RemoteConnections, kinds: KindCatalogue) {
    this.connections = connections;
    this.#kinds = kinds;
  }

  async follow(parts: MirrorParts): Promise<void> {
    this.#mirror = await mirrorKind(parts, apiServiceKind, {
      put: ({ key, object }) => this.#put(key, object),
      remove: (key) => this.#put(key, undefined),
    });
  }

  /** Changes with all that documents are made of. */
  get version(): number {
    return this.#version;
  }

  get remotes(): readonly RemoteService[] {
    return [...this.#byVersion.values()].filter((each) => this.#isRemote(each));
  }

  /** Every APIService, and whether it says that it can be asked. */
  get states(): Iterable<ServiceState> {
    return this.#states.values();
  }

  /** APIServices that this server answers, whose condition says otherwise. */
  get wronglyRemote(): readonly string[] {
    return [...this.#locals.values()];
  }

  /** Who answers a path of a group version, or below it; undefined: this server, or nobody. */
  find(path: string): RemoteService | undefined {
    if (this.#byVersion.size === 0) return undefined;
    const [, group = '', version = ''] =
      /^\/(?:openapi\/v3\/)?apis\/([^/]+)\/([^/]+)(?:\/|$)/.exec(path) ?? [];
    const found = this.#byVersion.get(`${group}/${version}`);
    return found !== undefined && this.#isRemote(found) ? found : undefined;
  }

  /** What this server has itself it answers itself. */
  #isRemote({ group, version }: RemoteService): boolean {
    return this.#kinds.findVersion(group, version) === undefined;
  }

  learn(name: string, learnt: Learnt): void {
    if (equalJson(this.#learnt.get(name), learnt)) return;
    this.#learnt.set(name, learnt);
    this.#version++;
  }

  /** What was known stays, and is said to be old. */
  forget(name: string): void {
    const known = this.#learnt.get(name);
    if (known !== undefined) this.learn(name, { ...known, isCurrent: false });
  }

  learntOf(name: string): Learnt | undefined {
    return this.#learnt.get(name);
  }

  /** Whether this server itself says what nodes and pods use: where no other does. */
  get hasMetrics(): boolean {
    return this.#metrics.size > 0;
  }

  /** For discovery: those of other servers, and of this one what is no kind of its catalogue. */
  get versions(): readonly RemoteVersion[] {
    const remotes = this.#remoteVersions();
    return this.hasMetrics ? [...remotes, ownMetrics] : remotes;
  }

  #remoteVersions(): readonly RemoteVersion[] {
    return this.remotes.map((remote) => {
      const learnt = this.#learnt.get(remote.name);
      return {
        ...remote,
        resources: learnt?.resources,
        isCurrent: learnt?.isCurrent === true && remote.isAvailable,
      };
    });
  }

  /** For documents of OpenAPI. */
  get openApi(): RemoteOpenApi {
    const paths = new Map<string, string>();
    const documents: RemoteDocument[] = [];
    for (const { name, group, version } of this.remotes) {
      const { openApiPath, openApiV2: document } = this.#learnt.get(name) ?? {};
      if (openApiPath !== undefined) paths.set(`apis/${group}/${version}`, openApiPath);
      if (document !== undefined) documents.push({ group, version, document });
    }
    return { version: this.#version, documents, paths };
  }

  [Symbol.dispose](): void {
    this.#mirror?.[Symbol.dispose]();
    this.connections[Symbol.dispose]();
  }

  #put(key: string, object: JsonObject | undefined): void {
    const before = this.#byKey.get(key);
    const remote = object && remoteServiceOf(object);
    this.#locals.delete(key);
    if (object === undefined) this.#states.delete(key);
    else this.#states.set(key, stateOf(object));
    const isMetrics =
      object !== undefined && remote === undefined && stringOf(at(object, 'metadata.name')) === metricsName;
    if (isMetrics) this.#metrics.add(key);
    else this.#metrics.delete(key);
    if (remote === undefined) {
      this.#byKey.delete(key);
      if (object !== undefined && !saysLocal(object))
        this.#locals.set(key, stringOf(at(object, 'metadata.name')));
    } else this.#byKey.set(key, remote);
    if (before === undefined && remote === undefined) return;
    if (remote === undefined && before !== undefined) this.#learnt.delete(before.name);
    if (before !== undefined && remote !== undefined && equalJson({ ...before }, { ...remote })) return;
    this.#version++;
    this.#byVersion = new Map(
      [...this.#byKey.values()].map((each) => [`${each.group}/${each.version}`, each]),
    );
    if (remote !== undefined && !isSameServer(before, remote)) this.onChange?.(remote.name);
  }
}

const metricsName = `${metricsVersion}.${metricsGroup}`;
const ownMetrics: RemoteVersion = {
  ...{ group: metricsGroup, version: metricsVersion, groupPriority: 100, versionPriority: 100 },
  ...{ resources: metricsResources, isCurrent: true },
};

function isSameServer(a: RemoteService | undefined, b: RemoteService): boolean {
  return a !== undefined && equalJson({ ...a, isAvailable: true }, { ...b, isAvailable: true });
}

function stateOf(object: JsonObject): ServiceState {
  const { status } = object as unknown as APIService;
  return {
    name: stringOf(at(object, 'metadata.name')),
    isAvailable: isConditionTrue(status?.conditions, 'Available'),
  };
}

function saysLocal(object: JsonObject): boolean {
  return objectsOf(at(object, 'status.conditions')).some(
    (condition) =>
      isObject(condition) && condition['type'] === 'Available' && condition['reason'] === 'Local',
  );
}
